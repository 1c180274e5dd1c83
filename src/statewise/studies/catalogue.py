"""Every study by its name."""

from statewise.studies import aaren_memory
from statewise.studies.cures import istree, side_by_side
from statewise.studies.gated_rnn import architectures, in_context, teacher
from statewise.studies.separations import dyck, equality, index_lookup, width
from statewise.studies.study import Study
from statewise.studies.zoology import mqar

STUDIES: dict[str, Study] = {
    module.STUDY.name: module.STUDY
    for module in (
        teacher,
        architectures,
        in_context,
        istree,
        side_by_side,
        index_lookup,
        width,
        dyck,
        equality,
        mqar,
        aaren_memory,
    )
}
