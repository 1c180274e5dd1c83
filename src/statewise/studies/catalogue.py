"""Every study by its name."""

from statewise.studies.cures import chart, istree
from statewise.studies.gated_rnn import architectures, in_context, teacher
from statewise.studies.study import Study

STUDIES: dict[str, Study] = {
    study.name: study for study in (teacher.STUDY, architectures.STUDY, in_context.STUDY, istree.STUDY, chart.STUDY)
}
