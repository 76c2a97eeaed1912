"""Jobs and their manifests as JSON, for callers and people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .changing import CHANGES, changes_json
from .records import Job, Part


def job_json(job: Job, path: str) -> Mapping[str, Any]:
    """Return a job; ``path`` is where jobs are: ``/e/acme/jobs``."""
    progress = job.progress
    own = f"{path}/{job.id}"
    return {
        "id": job.id,
        "kind": job.kind,
        "name": job.files.name,
        "format": job.files.ending,
        "environment": job.environment or None,
        "profile": job.profile,
        "state": job.state,
        "progress": {
            "rows": progress.rows,
            "parts": progress.parts,
            "ofParts": progress.of_parts,
            "bytes": progress.bytes,
        },
        "source": _source_json(job),
        "error": job.error,
        "created": time_text(job.created),
        "updated": time_text(job.updated),
        "expires": None if job.expires_at is None else time_text(job.expires_at),
        "links": {"self": own, "manifest": f"{own}/manifest"},
    }


def manifest_json(job: Job, path: str) -> Mapping[str, Any]:
    """Return the manifest of a job: all of its parts, as far as they are complete."""
    own = f"{path}/{job.id}"
    more = changes_json(job) if job.kind == CHANGES else {}
    return {
        "job": job.id,
        "name": job.files.name,
        "format": job.files.ending,
        "complete": job.state == "SUCCEEDED",
        "rows": sum(part.rows for part in job.checkpoint.parts),
        "bytes": sum(part.bytes for part in job.checkpoint.parts),
        "sha256": job.checkpoint.sha256,
        "parts": [
            {**_part_json(part), "href": f"{own}/parts/{part.number}"}
            for part in job.checkpoint.parts
        ],
        **more,
    }


def part_name(job: Job, part: Part) -> str:
    """Return the name of a part's file: ``CustomersV3-0003.csv``."""
    return f"{job.files.name}-{part.number:04}.{job.files.ending}"


def _source_json(job: Job) -> Mapping[str, Any] | None:
    source = job.checkpoint.source
    return None if source is None else {"name": source.name, "reason": source.reason}


def _part_json(part: Part) -> Mapping[str, Any]:
    return {
        "number": part.number,
        "rows": part.rows,
        "bytes": part.bytes,
        "sha256": part.sha256,
        "firstCursor": part.first,
        "lastCursor": part.last,
    }


def time_text(seconds: float) -> str:
    """Return a time in UTC: ``2026-11-30T16:00:00+00:00``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
