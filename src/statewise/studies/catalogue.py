"""Every study by its name."""

from statewise.studies.cures import istree, side_by_side
from statewise.studies.gated_rnn import architectures, in_context, teacher
from statewise.studies.minrnn import layers
from statewise.studies.study import Study

STUDIES: dict[str, Study] = {
    module.STUDY.name: module.STUDY for module in (teacher, architectures, in_context, istree, side_by_side, layers)
}
