"""Messages: what venues said, in one shape; the events everything else in Penstock stands on."""

from domain.messages import records
from domain.messages.details import (
    BookDetail,
    BookLevel,
    CandleDetail,
    MessageDetail,
    QuoteDetail,
    TickerDetail,
    detail_of,
    read_detail,
)
from domain.messages.filters import (
    FILTER_LIMIT,
    InstrumentFilter,
    MessageFilter,
    MessageOrder,
)
from domain.messages.log import (
    Instrument,
    Logs,
    MessageLog,
    MessagePage,
)
from domain.messages.probes import (
    Probe,
    ProbedMessage,
    Prober,
    ProbeResult,
    probe,
)
from domain.messages.quarantine import (
    CannotNormalise,
    QuarantinedFrame,
    QuarantineReason,
    QuarantineReplay,
    QuarantineState,
    ReplayedQuarantine,
)
from domain.messages.records import (
    MessageBatchRecord,
    Record,
    SequenceGap,
)
from domain.messages.saving import (
    DATA_LIMIT_BYTES,
    DIGIT_LIMIT,
    NAME_LIMIT,
    SAVE_LIMIT,
    NewMessage,
    SavedMessages,
    check_new_messages,
)
from domain.messages.stream import (
    SAMPLE_INTERVAL_MS,
    Delivery,
    DeliveryMode,
    Feed,
    Gap,
    GapReason,
    MessageBatch,
    MessageEvent,
)
from domain.messages.ticks import (
    Message,
    MessageType,
    Side,
    Tick,
)

__all__ = [
    "DATA_LIMIT_BYTES",
    "DIGIT_LIMIT",
    "FILTER_LIMIT",
    "NAME_LIMIT",
    "SAMPLE_INTERVAL_MS",
    "SAVE_LIMIT",
    "BookDetail",
    "BookLevel",
    "CandleDetail",
    "CannotNormalise",
    "Delivery",
    "DeliveryMode",
    "Feed",
    "Gap",
    "GapReason",
    "Instrument",
    "InstrumentFilter",
    "Logs",
    "Message",
    "MessageBatch",
    "MessageBatchRecord",
    "MessageDetail",
    "MessageEvent",
    "MessageFilter",
    "MessageLog",
    "MessageOrder",
    "MessagePage",
    "MessageType",
    "NewMessage",
    "Probe",
    "ProbeResult",
    "ProbedMessage",
    "Prober",
    "QuarantineReason",
    "QuarantineReplay",
    "QuarantineState",
    "QuarantinedFrame",
    "QuoteDetail",
    "Record",
    "ReplayedQuarantine",
    "SavedMessages",
    "SequenceGap",
    "Side",
    "Tick",
    "TickerDetail",
    "check_new_messages",
    "detail_of",
    "probe",
    "read_detail",
    "records",
]
