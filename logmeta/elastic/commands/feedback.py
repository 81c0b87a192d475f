"""`logmeta elastic feedback`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from logmeta.config import SCORER_URL
from logmeta.elastic.commands.options import (
    ApiKeyFile,
    Ca,
    Once,
    ScorerCa,
    ScorerUrl,
    TokenFile,
    Url,
    end_on_sigterm,
    need_serve_extra,
    say,
    to_address,
    to_scorer,
)

ONCE_PATIENCE_S = 60.0


def feedback(
    url: Url,
    from_: Annotated[str, typer.Option("--from", help="Data stream, index or pattern with annotated documents.")],
    api_key_file: ApiKeyFile = None,
    ca: Ca = None,
    scorer_url: ScorerUrl = SCORER_URL,
    token_file: TokenFile = None,
    scorer_ca: ScorerCa = None,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=1)] = 10,
    once: Once = False,
) -> None:
    """Take what people wrote into logmeta.feedback (normal or anomaly) of annotated documents to the scorer."""
    need_serve_extra()
    from logmeta.elastic.client import connect
    from logmeta.elastic.feedback import FeedbackClient, take_words
    from logmeta.elastic.patience import Patience

    end_on_sigterm()
    address, scorer = to_address(url, api_key_file, ca), FeedbackClient(to_scorer(scorer_url, token_file, scorer_ca))
    patience = Patience(ONCE_PATIENCE_S if once else None, say=lambda words: say([words]))
    with connect(address) as client:
        while True:
            tally = take_words(client, address, from_, scorer, patience=patience)
            if once or tally.taken or tally.refused:
                say([str(tally)])
            if once:
                break
            time.sleep(every)
    scorer.close()
