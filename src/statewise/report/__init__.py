"""Tables, figures and the HTML page: functions of records alone, so that they can be redrawn anywhere."""

from statewise.report.capacity import render_capacity, saturation
from statewise.report.limit import Limit, limit_sentence, render_limits
from statewise.report.page import write_page
from statewise.report.plots import Marker
from statewise.report.study import StudyPart
from statewise.report.summary import Row, Summary, summarise
from statewise.report.table import conclusions, render
from statewise.report.text import TextPart, Written, render_text, text_part
from statewise.report.verdict import SOLVED_AT, Verdict, judge

__all__ = [
    "SOLVED_AT",
    "Limit",
    "Marker",
    "Row",
    "StudyPart",
    "Summary",
    "TextPart",
    "Verdict",
    "Written",
    "conclusions",
    "judge",
    "limit_sentence",
    "render",
    "render_capacity",
    "render_limits",
    "render_text",
    "saturation",
    "summarise",
    "text_part",
    "write_page",
]
