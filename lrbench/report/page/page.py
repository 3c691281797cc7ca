"""One self-contained HTML file of one or several results folders; nothing of it comes from the network, or leaves."""

import base64
import hashlib
import shlex
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from lrbench.limits import writing
from lrbench.report.page import sections
from lrbench.report.page.answers import answer_data
from lrbench.report.page.charts import build_charts
from lrbench.report.page.decide import PERCENTAGES, QUESTION, decide_data
from lrbench.report.page.details import packed_table, trial_data
from lrbench.report.page.findings import findings
from lrbench.report.page.overlay import Overlay, read_overlay
from lrbench.report.page.packing import compressed
from lrbench.report.palette import COLOURS, SCHEMES
from lrbench.shown import shown
from lrbench.whole import begins, make_room, write_whole

SCRIPTS = (
    *("d3.min.js", "address.js", "decide.js", "charts.js", "download.js"),
    *("panel.js", "why.js", "compare.js", "table.js", "details.js", "page.js"),
)
"""In the order in which they run."""


def write_report(folders: Sequence[Path], target: Path, *, tell: Callable[[str], object] = str) -> Path:
    """Write the page of these folders. What lies there and is no such page is moved away first, which is told.

    Raises: InputError when a folder holds no readable tables, or the target cannot be written.
    """
    page = render(read_overlay(folders), folders)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    if moved := make_room(target, is_ours=target.is_dir() or begins(target, b"<title>lrbench: ")):
        tell(f"{target} is no report of lrbench: moved to {moved}")
    write_whole(target, page.encode("utf-8", "backslashreplace"))  # names of files may hold what is no text
    return target


def render(overlay: Overlay, folders: Sequence[Path]) -> str:
    """The page as text. Its scripts are its own and d3: the browser is told to run no other, and to load nothing."""
    charts, decide = list(build_charts(overlay)), decide_data(overlay)
    scripts = list(map(_asset, SCRIPTS))
    table = sections.trial_table(overlay)
    data = {
        "confidences": PERCENTAGES,
        "decide": decide,
        "charts": charts,
        "table": packed_table(table),
        "answers": answer_data(overlay),
        **trial_data(overlay),
    }
    return _template().render(
        labels=overlay.labels,
        folders=shlex.join(map(str, folders)),
        findings=list(findings(overlay)),
        can_decide=bool(decide),
        **QUESTION,
        charts=charts,
        trials=table,
        facets=_facets(table),
        plans=sections.plan_table(overlay),
        failed=sections.failed_table(overlay),
        untrained=sections.untrained_table(overlay),
        dense_layers=sections.dense_layers_table(overlay),
        controls=sections.control_table(overlay),
        environments=sections.environment_table(overlay),
        scores=sections.score_table(overlay),
        hypervolumes=sections.hypervolume_table(overlay),
        facts=list(sections.facts(overlay)),
        data=compressed(data),
        style=Markup("\n".join([*_colours(), _asset("page.css")])),
        scripts=[Markup(script) for script in scripts],
        hashes=" ".join(f"'sha256-{_digest(script)}'" for script in scripts),
    )


def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("lrbench.report.page", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


def _shown(value: object) -> object:
    """A text from results as it is shown; what is our own is marked up already."""
    return shown(value) if type(value) is str else value


def _asset(name: str) -> str:
    return (files("lrbench.report.page") / "assets" / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _colours() -> Iterator[str]:
    """The palette as rules of CSS."""
    marks = "".join(f"--c{i}:{colour};" for i, colour in enumerate(COLOURS))
    rules = {
        name: marks + "".join(f"--{key}:{value};" for key, value in colours.items()) + f"color-scheme:{name}"
        for name, colours in SCHEMES.items()
    }
    yield f":root{{{rules['light']}}}"
    yield f"@media (prefers-color-scheme:dark){{:root{{{rules['dark']}}}}}"
    yield from (f':root[data-theme="{name}"]{{{rule}}}' for name, rule in rules.items())


def _facets(table: sections.Table) -> list[tuple[str, int, list[str]]]:
    """Heading, column and values of what the trial table can be narrowed by, where there is a choice."""
    columns = {name: table.heads.index(name) for name in sections.FACETS if name in table.heads}
    values = {name: list(dict.fromkeys(row[i].text for row in table.rows)) for name, i in columns.items()}
    return [(name, columns[name], choices) for name, choices in values.items() if len(choices) > 1]
