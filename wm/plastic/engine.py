"""The engine of plastic networks: fast weights that change after every token, in factored form.

A plastic layer computes y_t = (W + w_t) x_t + b + c_t. After token s, with the value v_s and the key k_s
that its rule writes (`wm.plastic.rules`), and with rate r_s and decay d_s of the whole network,

    w <- (1 - d_s) w + r_s alpha o (v_s k_s^T),    c <- (1 - d_s) c + r_s beta o v_s,
    r_s = eta0 sigmoid(logit_s) min(1, max_norm / |delta_s|),
    d_s = r_s (published) or eta0 sigmoid(logit_s).

No matrix is kept for a sequence: y_t = W x_t + b + sum_s C_ts ((alpha o v_s k_s^T) x_t + beta o v_s), where
C_ts = r_s prod_{r = s+1}^{t-1} (1 - d_r), needs the vectors v_s and k_s alone (`wm.plastic.memory`).

Tokens are computed in windows. A window of one token is the sequential form. In a longer one, all tokens are
computed at once from a guess of what they write, which gives a better guess, until nothing changes: a fixed
point that is exact, as a token depends on earlier ones alone, and whose gradient is as exact
(`wm.plastic.fixed_point`).
"""

from __future__ import annotations

__all__ = ["Engine", "Trace", "encoded", "run"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .bodies import Span, body
from .families import RECURRENT, WHOLE, PlasticConfig, make_task
from .fewshot.encoders import seen_by_conv4
from .fixed_point import iterated, with_implicit_gradient
from .layers import Layers, internal_loss
from .memory import Memory
from .parameters import plastic_layers
from .rates import Knobs, Rates, Writes, knobs, rates_of
from .rules import RULES, Write

WINDOW = 32
"""tokens computed at once where they can be"""
FEW = 2**19
"""networks x trials x tokens^2 up to which a GPU learns faster through all tokens at once"""


@dataclass(frozen=True, eq=False)
class Trace:
    """What networks did with sequences."""

    answers: Tensor
    """(network, trial, time, output): logits of symbols, or numbers"""
    rates: Rates
    """how each token was written, (network, trial, time)"""
    memory: Memory
    """all that was written, with coefficients after the last token"""
    residual: Tensor
    """largest relative change in the last sweep of a window and, once a gradient was taken, on its way back,
    (network,); 0 in the sequential form"""
    sweeps: float
    """mean number of sweeps of a window, of those that did not settle, too; 1 in the sequential form"""
    fallbacks: int
    """windows that did not settle and were computed token by token"""


def run(
    config: PlasticConfig,
    weights: Mapping[str, Tensor],
    inputs: Tensor,
    own: Knobs | None = None,
    *,
    window: int | None = None,
    tolerance: float | None = None,
    sweeps: int | None = None,
    masks: Mapping[str, Tensor] | None = None,
) -> Trace:
    """Run an ensemble on sequences.

    inputs: tokens (network, trial, time) of symbolic tasks, or numbers (network, trial, time, input). own:
    settings of the rate, where networks differ in them, by default those of `config`. window: tokens computed
    at once; without plasticity a transformer always computes all at once. By default 32, on a GPU all, and 1
    to learn through updates, where repeated sweeps cost more than they save (but for `FEW` on a GPU), for
    recurrent bodies, and for full learning rates of synapses. tolerance: relative change at which a window
    has settled, by default 1e-5 (float32) or 1e-12 (float64). sweeps: make exactly so many, without
    tolerance, guard and fallback, as a captured graph must (see `Trace.residual`). masks: dropout
    (`wm.plastic.bodies.Span`).

    A window that does not settle, because its plasticity is too strong, is computed token by token.
    Raises ValueError for inputs that do not fit, or a window that is not possible.
    """
    like = next(iter(weights.values()))
    engine = Engine(config, weights, own or knobs([config], like), masks or {})
    inputs = encoded(config, inputs, weights)
    engine.begin(inputs)
    limit = tolerance or (1e-12 if inputs.dtype == torch.float64 else 1e-5)
    for piece in inputs.split(_window(config, window, inputs), dim=2):
        if piece.shape[2] == 1 or engine.rule.write is None:
            engine.step(piece)
        else:
            engine.solve(piece, limit, sweeps)
    return engine.trace()


def _window(config: PlasticConfig, asked: int | None, inputs: Tensor) -> int:
    """Tokens computed at once; ValueError where that many cannot be."""
    whole, recurrent = inputs.shape[2], config.body in RECURRENT
    if asked is not None and (asked < 1 or (asked > 1 and recurrent)):
        raise ValueError(
            f"window={asked}: a whole number of at least 1, and for recurrent networks, "
            "whose tokens need the states before them, 1"
        )
    if config.body in WHOLE or (not RULES[config.rule].write and not recurrent):
        return whole
    if asked or recurrent or config.alpha == "full":
        return asked or 1
    if config.differentiated and torch.is_grad_enabled():
        return whole if inputs.is_cuda and inputs.shape[:3].numel() * whole <= FEW else 1
    return whole if inputs.is_cuda else WINDOW  # a GPU likes few large operations


def encoded(config: PlasticConfig, inputs: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """Inputs as a body takes them, (network, trial, time, input): symbols one-hot, drawings encoded.

    Raises ValueError for what the networks cannot read.
    """
    task, like = make_task(config), next(iter(weights.values()))
    axes = "(network, trial, time)" if task.symbolic else f"(network, trial, time, {task.given})"
    if inputs.ndim != (3 if task.symbolic else 4) or (not task.symbolic and inputs.shape[3] != task.given):
        raise ValueError(f"{config.task} takes inputs {axes}, got {tuple(inputs.shape)}")
    if config.positions and inputs.shape[2] > (known := weights["positions"].shape[1]):
        raise ValueError(f"these networks know {known} positions, got sequences of {inputs.shape[2]} tokens")
    if config.encoder == "conv4":
        return seen_by_conv4(weights, inputs.to(like.dtype), task)
    if not task.symbolic:
        return inputs.to(like.dtype)
    if not inputs.is_cuda and not ((inputs >= 0) & (inputs < task.inputs)).all():
        raise ValueError(f"symbols are whole numbers from 0 to {task.inputs - 1}, got others")
    return F.one_hot(inputs.long(), task.inputs).to(like.dtype)


class Engine:
    """The state of a run: what attention and plastic layers hold, and the records of all tokens so far.

    What looks inside or intervenes (`wm.plastic.inside`) overrides `step`, `_pass` or `_keep`.
    """

    def __init__(self, config: PlasticConfig, weights: Mapping[str, Tensor], own: Knobs, masks) -> None:
        self.config, self.weights, self.knobs, self.masks = config, weights, own, masks
        self.rule, self.body, self.learning = RULES[config.rule], body(config), torch.is_grad_enabled()
        self.state, self.time, self.fallbacks = {}, 0, 0
        self.answers, self.rates, self.efforts = [], [], []

    def begin(self, inputs: Tensor) -> None:
        layers = plastic_layers(self.config) if self.rule.write else {}
        self.memory = Memory.empty(layers, inputs)
        self.residual = inputs.new_zeros(inputs.shape[0])

    # ------------------------------------------------------------ tokens that do not write for each other

    def step(self, piece: Tensor) -> None:
        """Compute a piece whose tokens do not write for each other, and what it writes."""
        create = self.learning and self.config.differentiated
        with torch.set_grad_enabled(self.learning or self.rule.needs_gradient):
            done = self._pass(piece, self.weights, self.memory, self.memory.now())
            gradients = self._gradients(done, create=create, retain=self.learning)
            writes, rates = self._written(done, gradients)
        if not create:
            writes, rates = _constant(writes), Rates(*(part.detach() for part in rates))
        outputs, self.state = done.outputs, done.state
        if not self.learning:
            outputs, self.state = outputs.detach(), _detached(self.state)
        self._keep(outputs, writes, rates)
        self.efforts.append(1)

    # ------------------------------------------------------------ many tokens at once

    def solve(self, piece: Tensor, limit: float, sweeps: int | None) -> None:
        """Find what several tokens write as a fixed point, and compute them with it."""
        weights = {name: value.detach() for name, value in self.weights.items()}
        found, residual, made = iterated(lambda guess: self._sweep(piece, weights, guess), limit, sweeps)
        if sweeps is None and not (residual <= limit).all():
            self.fallbacks += 1
            self.efforts.append(made)
            for token in piece.split(1, dim=2):
                self.step(token)
            return
        self.residual.copy_(torch.maximum(self.residual, residual))  # in place: ways back raise it, too
        self.efforts.append(made)
        if self.learning and self.config.differentiated:
            self._differentiated(piece, found, limit, sweeps)
            return
        with torch.set_grad_enabled(self.learning):
            done = self._pass(piece, self.weights, *self._guessed(found))
        self.state = done.state
        self._keep(done.outputs, *self._unpacked(found))

    def _sweep(
        self, piece: Tensor, weights: Mapping[str, Tensor], guess: list[Tensor] | None
    ) -> list[Tensor]:
        """All tokens once, from a guess of what they write (None: nothing) to a better one; constants."""
        with torch.set_grad_enabled(self.rule.needs_gradient):
            if guess is None:
                nothing = piece.new_zeros(piece.shape[:3])
                past = self.memory.ahead(nothing, nothing)[..., : self.memory.coefficients.shape[-1]]
                memory = self.memory, past
            else:
                memory = self._guessed(guess)
            done = self._pass(piece, weights, *memory, own=self.rule.needs_gradient)
            writes, rates = self._written(done, self._gradients(done, create=False, retain=False))
        return [part.detach() for part in self._packed(writes, rates)]

    def _differentiated(self, piece: Tensor, found: list[Tensor], limit: float, sweeps: int | None) -> None:
        """Compute the tokens with what was found, with the gradients of a fixed point."""
        guess = [part.requires_grad_() for part in found]
        memory = self._guessed(guess)
        done = self._pass(piece, self.weights, *memory)
        gradients = None
        if self.rule.needs_gradient:  # each token's own, with keys and values of others that learn, too
            alone = self._pass(piece, self.weights, *memory, own=True, others=done.kept)
            gradients = self._gradients(alone, create=True, retain=True)
        state = [tensor for block in done.state.values() for tensor in block]
        again = self._packed(*self._written(done, gradients))
        again, others = with_implicit_gradient(
            guess, again, [done.outputs, *state], limit=limit, sweeps=sweeps, residual=self.residual
        )
        rest = iter(others[1:])
        self.state = {name: tuple(next(rest) for _ in block) for name, block in done.state.items()}
        self._keep(others[0], *self._unpacked(again))

    # ------------------------------------------------------------ parts of both

    def _pass(
        self, piece: Tensor, weights: Mapping[str, Tensor], memory: Memory, matrix: Tensor, **how
    ) -> _Pass:
        """All tokens of a piece once; matrix: what weighs each write, (network, trial, time, written)."""
        layers = Layers(weights, memory, matrix, self.rule)
        span = Span(self.time, self.state, masks=self.masks, **how)
        outputs, state = self.body(self.config, weights, piece, layers.plastic, span)
        return _Pass(layers, outputs, state, span.kept)

    def _gradients(self, done: _Pass, *, create: bool, retain: bool) -> Sequence[Tensor] | None:
        if not self.rule.needs_gradient:
            return None
        loss = internal_loss(done.outputs, done.layers.weights["internal"])
        return torch.autograd.grad(loss, done.layers.outputs, create_graph=create, retain_graph=retain)

    def _written(self, done: _Pass, gradients: Sequence[Tensor] | None) -> tuple[Writes, Rates]:
        writes = done.layers.writes(gradients)
        logit = done.outputs[..., -1 - self.config.auxiliary]
        return writes, rates_of(self.config, logit, writes, self.knobs)

    def _packed(self, writes: Writes, rates: Rates) -> list[Tensor]:
        """What the fixed point is about, and (constants) what else is to be known of the rates."""
        self.known = [part.detach() for part in rates[2:]]
        return [*(part for write in writes.values() for part in write), rates.rate, rates.decay]

    def _unpacked(self, state: list[Tensor]) -> tuple[Writes, Rates]:
        pairs = zip(state[:-2:2], state[1:-2:2], strict=True)
        writes = {name: Write(*pair) for name, pair in zip(self.memory.values, pairs, strict=True)}
        return writes, Rates(*state[-2:], *self.known)

    def _guessed(self, state: list[Tensor]) -> tuple[Memory, Tensor]:
        """The memory with these writes, and its coefficients for the tokens that write them."""
        writes, rates = self._unpacked(state)
        return self.memory.with_writes(writes), self.memory.ahead(rates.rate, rates.decay)

    def _keep(self, outputs: Tensor, writes: Writes, rates: Rates) -> None:
        if writes:
            self.memory = self.memory.after(writes, rates.rate, rates.decay)
        self.answers.append(outputs[..., : -1 - self.config.auxiliary])
        self.rates.append(rates)
        self.time += outputs.shape[2]

    def trace(self) -> Trace:
        rates = Rates(*(torch.cat(parts, dim=2) for parts in zip(*self.rates, strict=True)))
        effort = sum(self.efforts) / len(self.efforts)
        answers = torch.cat(self.answers, dim=2)
        return Trace(answers, rates, self.memory, self.residual, effort, self.fallbacks)


class _Pass(NamedTuple):
    """What one computation of a piece gave."""

    layers: Layers
    outputs: Tensor
    state: dict
    kept: dict


def _constant(writes: Writes) -> Writes:
    return {name: Write(*(part.detach() for part in write)) for name, write in writes.items()}


def _detached(state):
    """A state of nested dictionaries and tuples without its graph."""
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, dict):
        return {name: _detached(each) for name, each in state.items()}
    return tuple(_detached(each) for each in state)
