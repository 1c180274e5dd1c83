"""Questions about a folder of runs, asked in DuckDB straight over its records: no server, no second copy.

Two tables are laid over the folder. `runs` has a row for each run, with what was measured at its largest size;
`sizes` has a row for each run and size, and a row without measurements for a run that has none. A run that has not
ended is in both as `running` or, where its process is gone, `interrupted`. What is not a whole run is passed over and
counted. A configuration is not hashed again to see whether its folder bears the right name; `RunStore.find` does that.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from statewise.core.errors import RunError, UsageError, pick
from statewise.core.optional import require
from statewise.runs import tables
from statewise.runs.names import NAME, UNFINISHED, folders_in, in_progress
from statewise.runs.on_disk import CONFIG, MODEL, RECORD
from statewise.runs.record import FORMAT, STATUSES, model_of_run, task_of_run

COLUMNS = (*tables.OF_RUN, *tables.OF_SIZE)
ALL_STATUSES = (*STATUSES, "running", "interrupted")

OFFLINE = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
"""Settings without which DuckDB would fetch from the network what it lacks."""

FORMATS = {".csv": "FORMAT csv, HEADER true", ".json": "FORMAT json, ARRAY true", ".parquet": "FORMAT parquet"}
"""Endings of exported files, and how DuckDB writes them."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which runs are asked for. Empty means all; several conditions must hold together.

    where  a condition in DuckDB's SQL over COLUMNS and `config`, the whole configuration as JSON. It can look into
           nothing but the table: no files, no network, no other statement
    """

    tasks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    where: str | None = None

    def __post_init__(self) -> None:
        for status in self.statuses:
            pick("status", status, dict.fromkeys(ALL_STATUSES))


ALL = Selection()


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Runs as rows.

    columns      what is in a row
    rows         numbers, texts and datetimes in UTC; None where something is not known
    passed_over  how many folders hold no whole run, by what they are: damaged, foreign or half-written
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    passed_over: Counter[str] = field(default_factory=Counter)


def list_runs(
    root: Path,
    selection: Selection = ALL,
    columns: Sequence[str] = COLUMNS,
    *,
    sort: str = "name",
    reverse: bool = False,
) -> Listing:
    """A row for each run in `root` that is asked for, in the order of a column; what is not known comes last.

    An unknown column and a condition that is not understood are UsageErrors.

    >>> import tempfile
    >>> from statewise.runs import Record, RunStore
    >>> config = {"seed": 1, "task": {"name": "parity"}, "model": {"stack": "gru"}, "training": {"steps": 3}}
    >>> with tempfile.TemporaryDirectory() as root:
    ...     with RunStore(Path(root)).begin(config) as folder:
    ...         _ = folder.finish(Record(config=config, status="diverged", because="the loss was nan"))
    ...     list_runs(Path(root), Selection(where="seed < 2"), ["task", "model", "status"]).rows
    [('parity', 'gru', 'diverged')]
    """
    for column in (sort, *columns):
        pick("column", column, dict.fromkeys(COLUMNS))
    order = f"{sort} {'DESC' if reverse else 'ASC'} NULLS LAST, name, status"
    with tables_over(root) as laid:
        laid.lock()
        rows = laid.ask("runs", selection, order, columns, lambda found: found.fetchall())
        return Listing(columns=tuple(columns), rows=rows, passed_over=laid.passed_over)


def export_runs(root: Path, path: Path, selection: Selection = ALL, *, force: bool = False) -> Listing:
    """Write COLUMNS and `config` to a .csv, .json or .parquet file, a row for each run and size, and return names.

    The file appears when it is whole. One that is there is a UsageError, unless `force` says that it is replaced.
    """
    how = format_of(path, force=force)
    partial = path.absolute().with_name(f".{path.name}.partial-{os.getpid()}")
    with tables_over(root) as laid:
        laid.lock(but=partial)
        written = (*COLUMNS, "config")
        laid.ask("sizes", selection, "name, status, size", written, lambda found: found.create("exported"))
        try:
            laid.copy("exported", partial, how)
            partial.replace(path)
        except OSError as error:
            raise UsageError(f"runs cannot be exported to {path}: {error.strerror or first_line(error)}") from None
        finally:
            partial.unlink(missing_ok=True)
        rows = laid.connection.execute("SELECT name, size FROM exported").fetchall()
        return Listing(columns=("name", "size"), rows=rows, passed_over=laid.passed_over)


def format_of(path: Path, *, force: bool) -> str:
    """How to write a file with this ending; a UsageError where it cannot be written or is there."""
    if path.suffix not in FORMATS:
        raise UsageError(f"runs cannot be exported to {path}: the file's name must end in {', '.join(FORMATS)}")
    if path.exists() and not force:
        raise UsageError(f"{path} is there already: name another file, or replace it with --force")
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(
            f"runs cannot be exported to {path}: {path if path.is_dir() else path.parent} is "
            f"{'a folder' if path.is_dir() else 'no folder'}"
        )
    return FORMATS[path.suffix]


class Tables:
    """`runs` and `sizes` over one folder, in memory."""

    def __init__(self, connection: Any, errors: type[Exception], passed_over: Counter[str]) -> None:
        self.connection = connection
        self.errors = errors
        self.passed_over = passed_over

    def lock(self, but: Path | None = None) -> None:
        """Close files and network to everything that is asked from here on, `but` one file."""
        if but is not None:
            self.connection.execute(f"SET allowed_paths = [{quoted(but)}]")
        for setting in ("python_enable_replacements = false", "enable_external_access = false"):
            self.connection.execute(f"SET {setting}")
        self.connection.execute("SET lock_configuration = true")

    def ask(
        self, table: str, selection: Selection, order: str, columns: Sequence[str], take: Callable[[Any], Any]
    ) -> Any:
        """What `take` makes of the chosen rows and columns."""
        found = self.connection.table(table)
        wanted = {"task": selection.tasks, "model": selection.models, "status": selection.statuses}
        for column, values in (wanted | {"seed": selection.seeds}).items():
            if values:
                found = found.filter(f"{column} IN ({', '.join(map(quoted, values))})")
        try:
            if selection.where is not None:
                found = found.filter(selection.where)
            return take(found.order(order).project(", ".join(columns)))
        except self.errors as error:
            if selection.where is None:
                raise
            raise UsageError(
                f"where is {selection.where!r}: {first_line(error)}; columns are {', '.join(COLUMNS)} and config"
            ) from None

    def copy(self, table: str, path: Path, how: str) -> None:
        """Write a table to a file; what goes wrong is an OSError. JSON has no numbers but finite ones."""
        source = f"FROM {table}"
        if "json" in how:
            source = f"SELECT * REPLACE ({', '.join(map(finite, tables.FLOATS))}) {source}"
        try:
            self.connection.execute(f"COPY ({source}) TO {quoted(path)} ({how}, USE_TMP_FILE false)")
        except self.errors as error:
            raise OSError(first_line(error)) from None


@contextmanager
def tables_over(root: Path) -> Iterator[Tables]:
    """The tables over the runs in `root`."""
    duckdb = require("duckdb", extra="report", purpose="a question about many runs")
    folders = folders_in(root)
    unfinished = [name for name in folders if UNFINISHED.fullmatch(name)]
    with duckdb.connect(config=OFFLINE) as connection:
        connection.create_function(
            "labels_of", labels_of, ["VARCHAR"], "STRUCT(task VARCHAR, model VARCHAR)", exception_handling="return_null"
        )
        read_files(connection, duckdb.Error, root)
        connection.execute(tables.READ_RECORDS, {"shape": json.dumps(tables.RECORD)})
        connection.execute(
            tables.KEEP_WHOLE,
            {
                "shape": json.dumps(tables.CONFIG),
                "format": FORMAT,
                "statuses": list(STATUSES),
                "folders": [name for name in folders if NAME.fullmatch(name)] + unfinished,
                "unfinished": UNFINISHED.pattern,
                "running": [name for name in unfinished if in_progress(root / name)],
                "models": inside(root, "*", MODEL),
            },
        )
        connection.execute(tables.LAY)
        whole = {name for (name,) in connection.execute("SELECT folder FROM runs").fetchall()}
        passed_over = Counter(kind for name in folders if name not in whole and (kind := kind_of(name)))
        yield Tables(connection, duckdb.Error, passed_over)


def read_files(connection: Any, errors: type[Exception], root: Path) -> None:
    """Read every record and the configurations of unfinished runs.

    A folder that is renamed or removed between being found and being read fails all; it is looked for again.
    """
    globs = {"globs": [inside(root, "*", RECORD), inside(root, ".partial-*", CONFIG)]}
    for last in (False, False, True):
        try:
            connection.execute(tables.READ_FILES, globs)
            return
        except errors as error:
            if last:
                raise RunError(f"runs in {root} cannot be read: {first_line(error)}") from None


def labels_of(config: str) -> dict[str, str]:
    """What to call task and model, from the part of a configuration that says so. Called by DuckDB."""
    plain = json.loads(config)
    return {"task": task_of_run(plain), "model": model_of_run(plain)}


def kind_of(folder: str) -> str | None:
    """What a folder is that holds no whole run; hidden ones are nobody's business.

    >>> kind_of(".partial-0c02252c6f8b5f6d"), kind_of("0c02252c6f8b5f6d.damaged-2"), kind_of("notes")
    ('half-written', 'damaged', 'foreign')
    """
    if folder.startswith("."):
        return "half-written" if folder.startswith((".partial-", ".removed-")) else None
    return "damaged" if NAME.fullmatch(folder.partition(".damaged")[0]) else "foreign"


def inside(root: Path, folder: str, file: str) -> str:
    """The pattern of a file in folders of `root`, whatever characters are in that path.

    >>> inside(Path("runs[1]"), "*", "record.json")
    'runs[[]1]/*/record.json'
    """
    escaped = re.sub(r"([*?[])", r"[\1]", root.as_posix())
    return f"{escaped}/{folder}/{file}"


def quoted(value: object) -> str:
    """A value as SQL.

    >>> quoted("it's"), quoted(3)
    ("'it''s'", '3')
    """
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def finite(column: str) -> str:
    """A column of floats with NULL in the place of what is not finite."""
    return f"CASE WHEN isfinite({column}) THEN {column} END AS {column}"


def first_line(error: Exception) -> str:
    """What an error says, without the excerpt below it."""
    return str(error).partition("\n")[0]
