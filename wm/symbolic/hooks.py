"""Hook points: every intermediate of a model can be read or replaced by its name.

Names, order of arguments and layouts are those that users of TransformerLens know::

    logits, cache = model.run_with_cache(tokens)
    logits = model.run_with_hooks(tokens, fwd_hooks=[("blocks.0.hook_resid_post", lambda x, hook: 0 * x)])
"""

from __future__ import annotations

__all__ = ["Cache", "Hook", "HookPoint", "Hooked", "Where", "as_tokens"]

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence

import torch
from torch import Tensor, nn

from ..text import nearest

Cache = dict[str, Tensor]
Hook = Callable[[Tensor, "HookPoint"], Tensor | None]
"""called as `hook(tensor, hook=point)`; returns what takes the tensor's place, or None to leave it"""
Where = str | Callable[[str], bool]
"""a hook point by its name, or those whose names pass a test"""


class HookPoint(nn.Module):
    """An identity that shows its tensor to the functions hooked to it, first come first served."""

    name: str = ""
    """path of the point in its model, such as `blocks.0.attn.hook_pattern`"""

    def __init__(self) -> None:
        super().__init__()
        self.hooked: list[Hook] = []

    def forward(self, x: Tensor) -> Tensor:
        for function in self.hooked:
            given = function(x, hook=self)
            if given is None:
                continue
            if given.shape != x.shape:
                raise ValueError(f"a hook at {self.name} gave {(*given.shape,)} in place of {(*x.shape,)}")
            x = given
        return x


class Hooked(nn.Module):
    """A model from tokens (trial, time) to logits (trial, time, symbol), with hook points.

    Subclasses call `name_hooks` at the end of their `__init__`.
    """

    def name_hooks(self) -> None:
        """Tell each hook point its path."""
        self._points = {path: point for path, point in self.named_modules() if isinstance(point, HookPoint)}
        for path, point in self._points.items():
            point.name = path

    def hook_names(self) -> list[str]:
        """Names of all hook points."""
        return [*self._points]

    @contextlib.contextmanager
    def hooks(self, fwd_hooks: Sequence[tuple[Where, Hook]]) -> Iterator[Hooked]:
        """Within `with`, functions hooked to points given by name, or by a test of their names.

        Raises ValueError for a name that no point has.
        """
        added: list[tuple[HookPoint, Hook]] = []
        try:
            for where, function in fwd_hooks:
                for name in self._found(where):
                    self._points[name].hooked.append(function)
                    added.append((self._points[name], function))
            yield self
        finally:
            for point, function in reversed(added):
                point.hooked.remove(function)

    def run_with_hooks(self, tokens: Tensor, fwd_hooks: Sequence[tuple[Where, Hook]] = ()) -> Tensor:
        """Logits with functions hooked in for this call only; raises as `hooks` does."""
        with self.hooks(fwd_hooks):
            return self(tokens)

    def run_with_cache(
        self, tokens: Tensor, names_filter: Where | Collection[str] | None = None
    ) -> tuple[Tensor, Cache]:
        """Logits, and the tensors at the points asked for (default: all that the forward pass makes).

        names_filter: a name, several, or a test of names. Raises ValueError for a name that no point has.
        """
        cache: Cache = {}

        def keep(x: Tensor, hook: HookPoint) -> None:
            cache[hook.name] = x

        if names_filter is None:
            wanted = [name for name in self._points if not name.endswith(self.costly)]
        else:
            single = isinstance(names_filter, str) or callable(names_filter)
            wanted = [names_filter] if single else [*names_filter]
        return self.run_with_hooks(tokens, [(where, keep) for where in wanted]), cache

    costly: tuple[str, ...] = ()
    """endings of names of what is computed only if it is asked for"""

    def _found(self, where: Where) -> list[str]:
        if callable(where):
            return [name for name in self._points if where(name)]
        if where not in self._points:
            raise ValueError(f"there is no hook point {where!r}: {nearest(where, self._points)}")
        return [where]


def as_tokens(tokens: Tensor) -> Tensor:
    """Tokens (trial, time) as int64; raises ValueError for another shape or kind."""
    tokens = torch.as_tensor(tokens)
    if tokens.ndim != 2 or tokens.is_floating_point():
        raise ValueError(f"tokens must be whole numbers (trial, time), got {tokens.dtype} {(*tokens.shape,)}")
    return tokens.long()
