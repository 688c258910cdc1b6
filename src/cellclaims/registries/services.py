"""Ask one source during a pull: what the journal has comes from there, the rest from the network into the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cellclaims.errors import RefusedAnswer
from cellclaims.registries.answers import Page, oddity
from cellclaims.registries.client import Client, base_of
from cellclaims.registries.store import Answer, Journal

#: Looks an answer's bytes through, given its address for messages; raises RefusedAnswer.
Look = Callable[[bytes, str], Page]


@dataclass(frozen=True)
class Wanted:
    """What a pull asks a source for.

    Attributes
    ----------
    queries : mapping
        Name of a query -> its parameters, as in the section ``pull`` of ``protocol.yml``.
    registrations : tuple of str
        NCT numbers of the reports in ``data/published``.
    dois : tuple of str
        DOIs of the reports in ``data/published``.
    """

    queries: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    registrations: tuple[str, ...] = ()
    dois: tuple[str, ...] = ()


class Asking:
    """One source in one pull: what it answered so far, and what was odd.

    Parameters
    ----------
    source : str
        The source.
    client : Client
        Through which it is asked.
    journal : Journal
        Where each answer is written down.
    told : callable
        Called with a line after each answer.
    """

    def __init__(self, source: str, client: Client, journal: Journal, told: Callable[[str], None]) -> None:
        self.source, self.client, self.journal, self.told = source, client, journal, told
        self.answers: list[Answer] = []
        self.warnings: list[str] = []

    def ask(self, kind: str, path: str, parameters: Mapping[str, str], look: Look) -> Page:
        """The answer to one request, looked through and kept.

        Raises
        ------
        SourceError
            If it does not come or is not taken; what came before stays in the journal.
        OSError
            If it cannot be written.
        """
        address = base_of(self.source, self.client.settings.bases) + path
        if found := self.journal.find(self.source, address, parameters):
            answer, on_the_way = found
            page = look(self.journal.store.body(answer), address)
        else:
            answer, on_the_way, page = self._fetched(kind, path, parameters, look, address)
        self.answers.append(answer)
        self.warnings += [*on_the_way, *page.warnings]
        self.told(f"{self.source}: {len(self.answers)} answers")
        return page

    def _fetched(
        self, kind: str, path: str, parameters: Mapping[str, str], look: Look, address: str
    ) -> tuple[Answer, tuple[str, ...], Page]:
        got = self.client.get(self.source, path, parameters)
        page = look(got.body, got.address)
        on_the_way = tuple(oddity(self.source, *warning.split(": ", 1)) for warning in got.warnings)
        facts = {"source": self.source, "kind": kind, "address": got.address, "time": got.time, "status": got.status}
        answer = self.journal.store.keep(got.body, parameters=got.parameters, **facts)
        self.journal.add(answer, address, parameters, on_the_way)
        return answer, on_the_way, page

    def ask_known(self, kind: str, path: str, look: Look, number: str) -> Page | None:
        """The answer about one number; None and a warning where the source does not know it."""
        try:
            return self.ask(kind, path, {}, look)
        except RefusedAnswer as fault:
            if fault.status != 404:
                raise
            self.warnings.append(oddity(self.source, "not found", number))
            return None
