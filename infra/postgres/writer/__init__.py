"""Stores what connectors and clients bring: by COPY, in batches, each announced after its commit."""

from infra.postgres.writer.batch import NO_LEASE, Job, JobResult
from infra.postgres.writer.faults import KeyUsed, LeasesMoved, WriterClosed
from infra.postgres.writer.stats import WriterStats
from infra.postgres.writer.writer import BatchWriter

__all__ = [
    "NO_LEASE",
    "BatchWriter",
    "Job",
    "JobResult",
    "KeyUsed",
    "LeasesMoved",
    "WriterClosed",
    "WriterStats",
]
