"""The plugin's routes. Airflow does not authenticate a plugin's app, so every route here asks for a permission."""

from __future__ import annotations

from collections.abc import Mapping

from airflow.api_fastapi.core_api.security import get_user, requires_access_asset
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse, HTMLResponse

from airflow_mlops.adapters.documents.html import Link, Listed, Rows, report_page, shown_time
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.registry.journal import PromotionRecord, champion_of, unhealthy_versions
from airflow_mlops.errors import IntegrityError, SpecError
from airflow_mlops.hooks.platform import get_storage
from airflow_mlops.steps.registry.journal import read_journal
from airflow_mlops.steps.registry.ledger import read_ledger, tell_decision

__all__ = ["create_app"]

_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
}
# Reports hold scripts (Evidently's) and values from data. In a sandbox they have no origin, so they can
# draw but can neither read cookies nor call Airflow.
_REPORT_HEADERS = _PAGE_HEADERS | {
    "Content-Security-Policy": "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:",
}


_N_DECISIONS = 100


def create_app() -> FastAPI:
    """Return the app, with no route that does not ask for a permission."""
    app = FastAPI(title="airflow-mlops", docs_url=None, redoc_url=None, openapi_url=None)
    router = APIRouter(dependencies=[Depends(get_user), Depends(requires_access_asset("GET"))])
    router.add_api_route("/reports/{path:path}", show_report, methods=["GET"], response_class=FileResponse)
    router.add_api_route("/models", show_models, methods=["GET"], response_class=HTMLResponse)
    router.add_api_route("/models/{model_name}", show_model, methods=["GET"], response_class=HTMLResponse)
    app.include_router(router)
    return app


def show_report(path: str) -> FileResponse:
    """Send a report's page from the storage."""
    try:
        file = get_storage().path("reports", *path.split("/"))
    except SpecError as error:
        raise HTTPException(404, "There is no such report.") from error
    if ".." in file.parts or file.suffix != ".html" or not file.is_file():
        raise HTTPException(404, "There is no such report.")
    return FileResponse(file, media_type="text/html", headers=_REPORT_HEADERS)


def show_models() -> HTMLResponse:
    """List the models that have a journal or a ledger, with the version that serves, or why none does."""
    header, rows = [("Model", "Champion", "Since, UTC", "Why")], []
    storage = get_storage()
    for name in sorted({each for kind in ("journals", "decisions") for each in storage.journals.names(kind)}):
        try:
            shown = _shown(name, storage)
        except IntegrityError as error:  # its neighbours are shown all the same
            shown = ("damaged", "", str(error))
        if shown:
            rows.append((Link(name, f"models/{name}"), *shown))
    return _page("Models", f"{len(rows)}", {}, {"With a journal or a decision": (header, rows)})


def _shown(name: str, storage: Storage) -> tuple[object, ...]:
    """Return what the list says of a model; nothing while the first entry is being written."""
    journal = _read(name, storage)
    if journal:
        last = [entry for entry in journal if entry.action != "mark_unhealthy"][-1]
        return f"v{last.to_version}", shown_time(last.at), Listed(last.why)
    ledger = read_ledger(name, storage=storage)
    return ("none", "", Listed(tell_decision(ledger[-1])[2])) if ledger else ()


def show_model(model_name: str) -> HTMLResponse:
    """Show a model's journal, and the newest decisions of its ledger."""
    storage = get_storage()
    try:
        journal = _read(model_name, storage) if model_name in storage.journals.names("journals") else []
    except IntegrityError as error:
        raise HTTPException(409, str(error)) from error
    if not journal and model_name not in storage.journals.names("decisions"):
        raise HTTPException(404, "There is no journal of such a model, and no decision.")
    header = [("#", "When, UTC", "What", "Change", "Who", "Run", "Why")]
    rows = [
        (e.sequence, shown_time(e.at), e.action, str(e), e.actor, e.run_id, Listed(e.why)) for e in reversed(journal)
    ]
    facts = {"Unhealthy": ", ".join(f"v{v}" for v in sorted(unhealthy_versions(journal))) or "none"}
    tables = {"Journal": (header, rows), "Decisions": _decisions(model_name, storage)}
    return _page(model_name, f"v{champion_of(journal)}" if journal else "no champion", facts, tables)


def _decisions(model_name: str, storage: Storage) -> tuple[Rows, Rows]:
    """Return the newest decisions, with a link to what they were made on."""
    header, rows = [("When, UTC", "Decision", "By", "Run", "Why", "Seen")], []
    try:
        ledger = read_ledger(model_name, storage=storage)
    except IntegrityError as error:  # the journal is shown all the same
        return header, [("", "damaged", "", "", str(error), "")]
    for entry in reversed(ledger[-_N_DECISIONS:]):
        verdict, by, reasons = tell_decision(entry)
        report = getattr(entry, "report_uri", "")
        shown = Link("report", f"../{report}") if report else ""
        rows.append((shown_time(entry.at), verdict, by, entry.run_id, Listed(reasons), shown))
    return header, rows


def _read(folder: str, storage: Storage) -> list[PromotionRecord]:
    """Return the journal in a folder, whose name is the model's but for characters that a folder can't have."""
    entries = storage.log("journals", folder).entries()
    return read_journal(PromotionRecord.from_dict(entries[0]).model_name, storage=storage) if entries else []


def _page(
    title: str, verdict: str, facts: Mapping[str, object], tables: Mapping[str, tuple[Rows, Rows]]
) -> HTMLResponse:
    page = report_page(title=title, verdict=verdict, facts=facts, reasons=(), tables=tables)
    return HTMLResponse(page, headers=_PAGE_HEADERS)
