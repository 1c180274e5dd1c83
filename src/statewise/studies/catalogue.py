"""Every study by its name."""

from statewise.studies import aaren_memory
from statewise.studies.cures import istree, side_by_side
from statewise.studies.gated_rnn import architectures, in_context, teacher
from statewise.studies.minrnn import (
    chomsky,
    forget_bias,
    inference,
    layers,
    parameters,
    selective_copying,
    shakespeare,
    speed,
)
from statewise.studies.separations import dyck, equality, index_lookup, width
from statewise.studies.study import Study
from statewise.studies.translation import bridges
from statewise.studies.zoology import mqar

MODULES = (
    *(teacher, architectures, in_context, istree, side_by_side),
    *(speed, parameters, layers, selective_copying, shakespeare, chomsky, forget_bias, inference),
    *(index_lookup, width, dyck, equality, mqar, aaren_memory, bridges),
)

STUDIES: dict[str, Study] = {module.STUDY.name: module.STUDY for module in MODULES}
