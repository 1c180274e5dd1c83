"""Every study by its name."""

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
from statewise.studies.study import Study

MODULES = (
    *(teacher, architectures, in_context, istree, side_by_side),
    *(speed, parameters, layers, selective_copying, shakespeare, chomsky, forget_bias, inference),
)

STUDIES: dict[str, Study] = {module.STUDY.name: module.STUDY for module in MODULES}
