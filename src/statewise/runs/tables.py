"""What is read of run folders, as data: the columns of the tables, and the SQL that lays them."""

OF_RUN = {
    "name": "name",
    "status": "status",
    "because": "record.because",
    "task": "labels.task",
    "model": "labels.model",
    "seed": "settings.seed",
    "learning_rate": "settings.training.learning_rate",
    "width": "settings.model.width",
    "parameters": "record.facts.parameters",
    "steps": "record.training.steps",
    "tokens": "record.training.tokens",
    "seconds": "record.training.seconds",
    "tokens_per_second": "record.training.tokens_per_second",
    "budget": "record.training.budget",
    "device": "record.environment.device",
    "threads": "record.environment.threads",
    "torch": "record.environment.torch",
    "written": "written",
}
"""Columns that say something of a run, and where they are read; `written` is in UTC."""

OF_SIZE = {
    "size": "measured.size",
    "loss": "measured.loss",
    "token_accuracy": "measured.token_accuracy",
    "sequence_accuracy": "measured.sequence_accuracy",
    "sequences": "measured.sequences",
    "state_bits": "measured.state_bits",
    "counter_bits": "measured.counter_bits",
    "recovered_bits": "measured.recovered_bits",
    "recovered_at_least": "measured.recovered_at_least",
    "validation_loss": "measured.validation.loss",
    "validation_token_accuracy": "measured.validation.token_accuracy",
    "validation_sequence_accuracy": "measured.validation.sequence_accuracy",
    "free_accuracy": "measured.free.accuracy",
    "free_unanswered": "measured.free.unanswered",
}
"""Columns that say what was measured at one size: those of `statewise.runs.Result`."""

SCORES = dict.fromkeys(("loss", "token_accuracy", "sequence_accuracy"), "DOUBLE")
RESULT = {
    **SCORES,
    **dict.fromkeys(("recovered_bits", "recovered_at_least"), "DOUBLE"),
    **dict.fromkeys(("size", "sequences", "state_bits", "counter_bits"), "BIGINT"),
    "validation": SCORES,
    "free": {"accuracy": "DOUBLE", "unanswered": "DOUBLE"},
}
RECORD = {
    "format": "BIGINT",
    "status": "VARCHAR",
    "because": "VARCHAR",
    "config": "JSON",
    "facts": {"parameters": "BIGINT"},
    "training": {
        "steps": "BIGINT",
        "tokens": "BIGINT",
        "seconds": "DOUBLE",
        "tokens_per_second": "DOUBLE",
        "budget": "VARCHAR",
    },
    "environment": {"device": "VARCHAR", "threads": "BIGINT", "torch": "VARCHAR"},
    "results": [RESULT],
}
CONFIG = {
    "seed": "BIGINT",
    "task": "JSON",
    "model": {"stack": "JSON", "bridge": "JSON", "width": "BIGINT"},
    "training": {"learning_rate": "DOUBLE", "steps": "JSON"},
    "initial": "JSON",
}
"""What is read of record.json and of the configuration in it, with DuckDB's types. Anything else may stand there."""

FLOATS = (
    *("learning_rate", "seconds", "tokens_per_second"),
    *("loss", "token_accuracy", "sequence_accuracy", "recovered_bits", "recovered_at_least"),
    *("validation_loss", "validation_token_accuracy", "validation_sequence_accuracy"),
    *("free_accuracy", "free_unanswered"),
)
"""Columns that may hold what is not a finite number."""

# `read_blob` hands over one row at a time, and whatever comes after it pays for each. A list puts them together again:
# with 10,000 records this takes a second of CPU, and the fields read straight off `read_blob` took fourteen.
READ_FILES = """
CREATE TABLE files AS SELECT unnest(files, recursive := true) FROM (
    SELECT list({
        'folder': split_part(filename, '/', -2), 'content': content, 'written': make_timestamp(epoch_us(last_modified))
    }) AS files FROM read_blob($globs)
)
"""
READ_RECORDS = """
CREATE TABLE records AS
SELECT folder, written, folder[1] = '.' AS unfinished, try(from_json(
    CASE WHEN unfinished THEN '{"config":' || decode(content) || '}' ELSE decode(content) END, $shape
)) AS record
FROM files
"""
# Runs are labelled by a function of Python, which is called once for all that are labelled alike.
KEEP_WHOLE = """
CREATE TABLE whole AS
WITH read AS (SELECT *, from_json(record.config, $shape) AS settings FROM records),
keyed AS (
    SELECT *, json_object(
        'task', settings.task, 'initial', settings.initial,
        'model', json_object('stack', settings.model.stack, 'bridge', settings.model.bridge),
        'training', json_object('steps', settings.training.steps)
    )::VARCHAR AS key FROM read
),
labelled AS (SELECT key, labels_of(key) AS labels FROM (SELECT DISTINCT key FROM keyed))
SELECT *,
    CASE WHEN unfinished THEN regexp_extract(folder, $unfinished, 1) ELSE folder END AS name,
    CASE WHEN folder IN (SELECT unnest($running)) THEN 'running' WHEN unfinished THEN 'interrupted'
        ELSE record.status END AS status
FROM keyed JOIN labelled USING (key)
WHERE labels IS NOT NULL AND folder IN (SELECT unnest($folders)) AND (unfinished OR (
    record.format = $format AND record.status IN (SELECT unnest($statuses)) AND (
        record.status <> 'finished' OR folder IN (SELECT split_part(file, '/', -2) FROM glob($models))
    )
))
"""
LAY = f"""
CREATE TABLE sizes AS
SELECT {", ".join(f"{where} AS {column}" for column, where in (OF_RUN | OF_SIZE).items())},
    record.config AS config, folder
FROM whole LEFT JOIN (SELECT folder, unnest(record.results) AS measured FROM whole) USING (folder);
CREATE TABLE runs AS
SELECT * FROM sizes QUALIFY row_number() OVER (PARTITION BY folder ORDER BY size DESC NULLS LAST) = 1
"""
