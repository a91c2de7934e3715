"""Builds the page from its services, and serves it: `python app.py --help`."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import gradio as gr
from starlette.middleware import Middleware

from empo.arena.voters import server_key
from empo.data.recorded import find_files
from empo.errors import EmpoError, UsageError
from empo.giving_way import read
from empo.models.engine import Engine
from empo.models.fingerprint import short_hashes
from empo.models.inventory import choose_stack
from empo.models.stacks import Stack
from empo.scoring.scorer import load_scorer
from empo.scoring.valence import ValenceMeter
from empo.settings import Settings, settings
from empo.types import QUANTISATIONS, Quantisation
from empo.ui.about import about
from empo.ui.arena import ArenaHandlers
from empo.ui.arena_tab import ArenaTab
from empo.ui.chat_place import ChatPlace
from empo.ui.compare_events import wire
from empo.ui.compare_tab import CompareTab
from empo.ui.control import Running
from empo.ui.finished_runs import FinishedRuns
from empo.ui.handlers import Handlers
from empo.ui.kept_page import KeptPage
from empo.ui.launch import launch
from empo.ui.leaderboard import leaderboard
from empo.ui.live_scorer import LiveScorer
from empo.ui.opening import read_opening
from empo.ui.owner import Gate
from empo.ui.pair_desk import PairDesk
from empo.ui.results_tab import ResultsTab
from empo.ui.run_watch import RunWatch
from empo.ui.services import Loads, Report, Services
from empo.ui.sign_in import sign_in
from empo.ui.status import header, keep_true
from empo.ui.tab_address import tab_addresses
from empo.ui.train_events import TrainEvents
from empo.ui.trainer_events import TrainerEvents
from empo.ui.trainer_tab import TrainerTab
from empo.ui.try_run import TryRun
from empo.ui.view import Cast
from empo.ui.waiting import Line

HERO = """<h1>Say something. Three models answer.</h1>
<p>The same language model at three moments of its life: before training, taught by examples of
kind listeners, and taught by preferences. See how empathy is learnt.</p>"""
FOOT = """<p>This is a research demo, not a therapist, and nothing it says is advice. English only.
What you write on Compare is stored nowhere on the server: it stays in this browser tab; the Arena
says what it keeps. If you are not well, talk to a person: <a href="https://findahelpline.com"
target="_blank" rel="noopener noreferrer">findahelpline.com</a>.</p>"""


ECHOES = {"echo": 0.03, "slow-echo": 1.0}  # seconds from word to word
TABS = ("compare", "arena", "train", "results", "about")


def build(services: Services) -> gr.Blocks:
    """The whole page. Needs no model: the engine loads behind it."""
    with gr.Blocks(title="EmPO Space", analytics_enabled=False, delete_cache=(3600, 3600)) as page:
        top = header(services)
        models = services.stack.models
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Compare", id="compare") as first:
                gr.HTML(HERO, elem_id="hero", apply_default_css=False, js_on_load=None)
                cast = Cast(services.stack, services.hashes)
                compare = CompareTab(Handlers(services, cast, read_opening()))
                wire(compare)
            with gr.Tab("Arena", id="arena") as arena:
                battles = ArenaHandlers(services)
                votes = (battles.votes, battles.stamp)
                ArenaTab(battles, lambda: leaderboard(*votes, models, opened=arena.select))
            with gr.Tab("Train", id="train") as train:
                desk = PairDesk(services.settings.data_dir, services.scorer)
                trainer = TrainerTab(desk)
            with gr.Tab("Results", id="results") as results:
                ResultsTab(services)
            with gr.Tab("About", id="about") as last:
                gr.Markdown(about(services.stack), elem_id="about")
        pairs = TrainEvents(trainer.pairs)
        pairs.wire(train.select)
        finished = FinishedRuns(services, compare.handlers.recast)
        events = TrainerEvents(trainer, services, pairs, TryRun(compare, tabs, finished))
        events.wire(train.select, [tab.select for tab in (first, arena, results, last)])
        sign_in(services.settings)
        gr.HTML(FOOT, elem_id="foot", apply_default_css=False, js_on_load=None)
        keep_true(page, services, top, compare.panel.facts)
        named = dict(zip(TABS, (first, arena, train, results, last), strict=True))
        tab_addresses(page, tabs, named, compare)
    return page.queue(
        max_size=2 * services.line.limit, api_open=False, default_concurrency_limit=None
    )


def services_for(
    stack: str,
    quantisation: Quantisation | None,
    engine: Literal["local", "echo"],
    config: Settings,
    replies: Path | None = None,
) -> Services:
    """The services of a page on `stack`; nothing is loaded yet.

    Raises:
        UsageError, StackError: there is no such stack, or it cannot be read.
    """
    chosen = choose_stack(stack)
    hashes: dict[str, str] = {}
    scorer = LiveScorer(load_scorer)
    load = _loader(chosen, quantisation, engine, hashes, config.zero_gpu)
    watch = RunWatch()
    # What weighs nothing is in nobody's way.
    look = partial(read, device="none") if engine in ECHOES else read
    place = ChatPlace(chosen, load, watch, scorer.load_here, look)
    own = stack.endswith((".yaml", ".yml"))
    again = Loads(str(Path(stack).absolute()) if own else chosen.name, quantisation, engine)
    return Services(
        stack=chosen,
        holder=place.holder,
        settings=config,
        line=Line(config.max_queue),
        running=Running(),
        replies=replies or config.data_dir,
        hashes=hashes,
        scorer=scorer,
        watch=watch,
        place=place,
        loads=again,
    )


def _loader(
    stack: Stack,
    quantisation: Quantisation | None,
    engine: str,
    hashes: dict[str, str],
    zero_gpu: bool,
) -> Callable[[Report, bool], Engine]:
    """What the holder calls, late: only here is torch imported."""

    def load(report: Report, on_cpu: bool = False) -> Engine:
        if engine in ECHOES:
            from empo.models.echo import EchoEngine

            return EchoEngine(stack, delay=ECHOES[engine])
        if zero_gpu:
            from empo.models.zero import load_zero_engine

            loaded = load_zero_engine(stack, quantisation, report)
        else:
            from empo.models.loading import load_engine

            # On the processor as there is room for it, whatever was asked for on the GPU.
            how, gpu = ("none", False) if on_cpu else (quantisation, None)
            loaded = load_engine(stack, how, report, gpu)
        hashes.update(short_hashes(stack))
        return loaded

    return load


def _options(argv: Sequence[str] | None, config: Settings) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="app.py", description="The page of EmPO Space.")
    # A Space is reached from outside its container.
    host = "0.0.0.0" if config.space_id and config.host == "127.0.0.1" else config.host
    parser.add_argument("--host", default=host, help="address to listen on")
    parser.add_argument("--port", type=int, default=config.port, help="port to listen on")
    parser.add_argument("--stack", default=config.stack, help="a name, a YAML file, or auto")
    parser.add_argument("--quantisation", choices=QUANTISATIONS, default=config.quantisation)
    parser.add_argument(
        "--engine",
        choices=("local", *ECHOES),
        default="local",
        help="an echo answers without any model, to try the page",
    )
    parser.add_argument(
        "--replies",
        type=Path,
        help="folder or file of the paper's recorded replies (default: where fetch puts them)",
    )
    return parser.parse_args(argv)


def check_port(host: str, port: int) -> None:
    """Raises UsageError where `port` cannot be listened on."""
    if not 0 < port < 65536:
        raise UsageError(f"There is no port {port}; choose one between 1 and 65535.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise EmpoError(
                f"Port {port} on {host} cannot be used ({error.strerror or error}); "
                "stop what uses it, or choose another with --port."
            ) from error


def serve(argv: Sequence[str] | None = None) -> None:
    """Serve the page until interrupted."""
    config = settings()
    options = _options(argv, config)
    check_port(options.host, options.port)
    if options.replies and not find_files(options.replies):
        raise UsageError(
            f"There are no recorded replies in {options.replies}; get them with "
            "python -m empo fetch replies."
        )
    ValenceMeter.from_settings()  # a lexicon that cannot be read is said now, not turn by turn
    services = services_for(
        options.stack, options.quantisation, options.engine, config, options.replies
    )
    page = build(services)
    if config.zero_gpu:
        services.holder.load_here()
    else:
        services.holder.start()
        services.watch.start()
    gate = Gate(config, options.host, options.port, server_key(config.home))
    # The page itself, once kept, is for everybody: who may do what is asked before it.
    kept, threads = [Middleware(KeptPage)], services.line.limit + 24
    launch(page, gate, options.host, options.port, behind=kept, max_threads=threads)
    _announce(gate, options.host, options.port)
    page.block_thread()


def _announce(gate: Gate, host: str, port: int) -> None:
    """Print the address, and how its owner opens it; again whenever a token has been used."""
    local = host in ("0.0.0.0", "127.0.0.1", "::", "::1")
    shown = "localhost" if local else f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{port}"
    print(f"EmPO Space is at {address}", flush=True)

    def say(token: str) -> None:
        who = "Through a proxy, its" if gate.implied else "Its"
        print(f"{who} owner opens it once at {address}/?token={token}", flush=True)

    gate.announce = say
    if gate.token:
        say(gate.token)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the page; the exit code (1: it could not be served, 2: wrong use)."""
    try:
        serve(argv)
    except EmpoError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0
