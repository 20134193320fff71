"""The tables: all state of the service.

There are no relationships: every query is written out, in the ``queries`` of its room.
"""

from app.storage.tables.annotation import Assignment, Label, LedgerEntry, Pair
from app.storage.tables.base import Base, TransactionId
from app.storage.tables.projects import (
    Annotator,
    AnnotatorProject,
    BrowserSession,
    Installation,
    Invitation,
    Project,
    ProjectIntake,
)
from app.storage.tables.prompts import (
    ErasedPrompt,
    Import,
    Prompt,
    PromptEmbedding,
    QuestionEmbedding,
    QuestionProgress,
    Response,
    ResponseEmbedding,
    ResponseStyle,
)

__all__ = [
    "Annotator",
    "AnnotatorProject",
    "Assignment",
    "Base",
    "BrowserSession",
    "ErasedPrompt",
    "Import",
    "Installation",
    "Invitation",
    "Label",
    "LedgerEntry",
    "Pair",
    "Project",
    "ProjectIntake",
    "Prompt",
    "PromptEmbedding",
    "QuestionEmbedding",
    "QuestionProgress",
    "Response",
    "ResponseEmbedding",
    "ResponseStyle",
    "TransactionId",
]
