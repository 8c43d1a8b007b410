"""One notebook through papermill in a kernel of its own, which is gone afterwards; and how that ended."""

__all__ = ["execute"]

import logging
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, Popen
from time import monotonic
from typing import Any, TextIO

import papermill
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError, strip_color

from wm.files import read_json
from wm.parameters import read_cells
from wm.run_folder import Ending

START_S = 60
OUTPUT_S = 60  # nbclient gives a busy machine 4 s to deliver the last output, then fails


def execute(
    source: Path, output: Path, parameters: Mapping[str, Any], *,
    env: Mapping[str, str], timeout_s: float, log: TextIO,
) -> Ending:  # fmt: skip
    """Run `source` in its own folder, write what was run to `output` and say how it ended.

    `timeout_s` counts from the first cell and covers all of them. What cells print, tracebacks and what the
    kernel's process says go to `log`. A kernel that does not start is started once more. Every process of the
    kernel is gone on return, also on `KeyboardInterrupt` and `SystemExit`.
    """
    name = read_json(source)["metadata"].get("kernelspec", {}).get("name", "python3")
    for _attempt in range(2):
        watch = _Watch(timeout_s)
        try:
            with _remarks_in(log), _kernel(name, env, source.parent, log) as manager:
                return _run(source, output, parameters, manager=manager, watch=watch, log=log)
        except NoSuchKernel:
            installed = ", ".join(KernelSpecManager().find_kernel_specs()) or "none"
            remedy = f"make it `python3`, or run `{shlex.quote(sys.executable)} -m pip install ipykernel`"
            return Ending("no kernel", f"kernel `{name}` is not installed (there are: {installed}); {remedy}")
        except RuntimeError as error:
            if watch.number:
                raise
            problem = str(error)
            log.write(f"the kernel did not start: {problem}\n")
    return Ending("no kernel", f"the kernel did not start, twice: {problem}; the log says more")


class _Watch:
    """Follows an execution from cell to cell, as hooks of nbclient."""

    def __init__(self, timeout_s: float):
        self.timeout_s, self.deadline = timeout_s, 0.0
        self.number, self.line, self.ran, self.injected = 0, "", 0, 0
        self.reply: dict[str, Any] = {}

    def begins(self, cell: Any, cell_index: int) -> None:
        self.deadline = self.deadline or monotonic() + self.timeout_s
        self.injected += "injected-parameters" in cell.metadata.tags
        self.number = cell_index + 1 - self.injected
        self.line = cell.source.strip().splitlines()[0]

    def ends(self, cell: Any, cell_index: int, execute_reply: dict[str, Any]) -> None:
        self.reply = execute_reply["content"]
        self.ran += self.reply["status"] == "ok"

    def left_s(self, cell: Any) -> float:
        return max(self.deadline - monotonic(), 0.01)  # nbclient reads zero as no limit

    def ending(self, status: str, error: str = "") -> Ending:
        return Ending(status, error, self.number, self.line)


def _run(
    source: Path, output: Path, parameters: Mapping[str, Any], *,
    manager: "_Manager", watch: _Watch, log: TextIO,
) -> Ending:  # fmt: skip
    try:
        papermill.execute_notebook(
            _escaped(source), _escaped(output), dict(parameters), km=manager, kernel_name=manager.kernel_name,
            language="python", start_timeout=START_S, iopub_timeout=OUTPUT_S,
            timeout=int(watch.timeout_s) + 1, timeout_func=watch.left_s,
            on_cell_execute=watch.begins, on_cell_executed=watch.ends,
            progress_bar=False, stdout_file=log, stderr_file=log,
        )  # fmt: skip
        run_sync(manager.shutdown_kernel)()  # in peace, so that files left open are flushed
    except CellTimeoutError:
        return watch.ending("timeout", f"not finished after {watch.timeout_s:g} s, the limit for all cells")
    except DeadKernelError:
        if not watch.number:
            raise
        return _death(manager.process.wait(), watch)
    except PapermillExecutionError:
        pass  # the reply says it in full
    return _judge(source, watch, log)


def _judge(source: Path, watch: _Watch, log: TextIO) -> Ending:
    if watch.reply.get("status") == "error":
        log.write(strip_color("\n".join(watch.reply.get("traceback", ()))) + "\n")
        name, value = watch.reply.get("ename", "error"), watch.reply.get("evalue", "")
        if name != "SystemExit":
            return watch.ending("error", f"{name}: {value}".removesuffix(": "))
    cells = [cell for cell in read_cells(source) if cell.kind == "code" and cell.source.strip()]
    ran = watch.ran - watch.injected
    if ran < len(cells):
        return watch.ending("incomplete", f"the notebook left early: {ran} of {len(cells)} code cells ran")
    return Ending("ok")


def _death(code: int, watch: _Watch) -> Ending:
    if code >= 0:
        return watch.ending("incomplete", f"the kernel exited (code {code}) in this cell or the one before")
    hint = " (out of memory? run fewer notebooks at once, --jobs 1)" if -code == signal.SIGKILL else ""
    return watch.ending("killed", f"the kernel was killed by {signal.Signals(-code).name}{hint}")


class _Manager(AsyncKernelManager):
    """Keeps what nbclient does not hand out: the client, to be closed, and the process, for its exit code."""

    newest: Any = None
    process: Popen | None = None

    def client(self, **settings: Any) -> Any:
        self.newest = super().client(**settings)
        return self.newest


@contextmanager
def _kernel(name: str, env: Mapping[str, str], folder: Path, log: TextIO) -> Iterator[_Manager]:
    manager = _Manager(kernel_name=name)
    try:
        run_sync(manager.start_kernel)(
            env=dict(env), cwd=str(folder), stdout=DEVNULL, stderr=log,
            # No history on disk, and no warning that the connection, local and signed, is not encrypted.
            extra_arguments=["--HistoryManager.hist_file=:memory:", "--IPKernelApp.log_level=ERROR"],
        )  # fmt: skip
        manager.process = manager.provisioner.process
        yield manager
    finally:
        if manager.process:
            _kill(manager.process)
            run_sync(manager.cleanup_resources)()
        if manager.newest:
            manager.newest.stop_channels()


@contextmanager
def _remarks_in(log: TextIO) -> Iterator[None]:
    # What papermill and nbclient remark would otherwise go to the terminal, between the lines of a report.
    handler, logger = logging.StreamHandler(log), logging.getLogger("papermill")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _kill(process: Popen) -> None:
    with suppress(ProcessLookupError, PermissionError):  # the kernel leads a group: what it started goes too
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _escaped(path: Path) -> str:
    return str(path).replace("{", "{{").replace("}", "}}")  # papermill fills in {parameters}
