"""Einstein's summation: products and sums over axes that are named by letters."""

from __future__ import annotations

import functools
import string

from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.graph.op import op, sample
from minidl.graph.spec import Spec
from minidl.ops.creation import eye
from minidl.ops.shape import broadcast_to


@op(
    "einsum",
    autocast="low",
    samples=[
        sample((2, 3), (3, 4), subscripts="ij,jk->ik"),
        sample((2, 3), (3, 4), subscripts="ij, jk"),
        sample((2, 3, 4), (2, 4, 5), subscripts="bij,bjk->bik"),
        sample((2, 3, 4), (4, 3), subscripts="bij,ji->b"),
        sample((3,), (4,), subscripts="i,j->ji"),
        sample((3, 2), (3, 2), subscripts="ij,ij->ij"),
        sample((2, 3), subscripts="ij->ji"),
        sample((2, 3), subscripts="ij->"),
        sample((2, 3), subscripts="ba"),
        sample((3, 3), subscripts="ii->i"),
        sample((3, 3, 2), subscripts="iij->j"),
        sample((2, 3), (3, 4), (4, 2), subscripts="ij,jk,kl->il"),
        sample((2,), (2, 3), (3,), subscripts="i,ij,j->"),
        sample((2, 3), (4, 5), subscripts="ij,kl->jl"),
        sample((2, 1, 3, 4), (5, 4, 2), subscripts="...ij,...jk->...ik"),
        sample((2, 3), (3,), subscripts="...j,j"),
        sample((2, 3), subscripts="i...->..."),
        sample((2, 0), (0, 3), subscripts="ij,jk->ik"),
        sample((), (3,), subscripts=",i->i"),
    ],
)
class einsum:
    """Sum of products over named axes, as in NumPy and PyTorch: ``einsum("ij,jk->ik", a, b)``.

    z[out] = Σ a[…] * b[…] * …, over the letters that are not in out

    Operands are contracted from the left, two at a time, each time as one matrix product. The
    gradient by one of them is the einsum of the others with ∂L/∂z.

    Parameters
    ----------
    subscripts : str
        A letter for each axis of each operand, operands parted by commas, and behind ``->`` the
        letters of the result. Without ``->`` they are those that stand once, in alphabetical
        order. A letter that one operand has twice means its diagonal. ``...`` stands for any
        further axes, which broadcast and, without ``->``, come first.
    *operands : Tensor
        Of one dtype together. An axis of length 1 broadcasts.

    Raises
    ------
    GraphError
        If the subscripts are malformed.
    ShapeError
        If they do not go with the shapes.
    DtypeError
        If the operands are boolean.
    """

    def normalize(*operands, subscripts):
        return {"subscripts": _explicit(subscripts, [x.shape for x in operands])}

    def infer(*operands, subscripts):
        if any(x.dtype == "bool" for x in operands):
            raise DtypeError("takes numbers, not bool; convert with astype")
        terms, out = _terms(subscripts)
        lengths = _lengths(terms, [x.shape for x in operands])
        return Spec(tuple(lengths[letter] for letter in out), operands[0].dtype)

    def forward(xp, *arrays, subscripts):
        terms, out = _terms(subscripts)
        lengths = _lengths(terms, [x.shape for x in arrays])
        parts = [
            _squeezed(xp, _diagonal(xp, x, term), lengths)
            for x, term in zip(arrays, terms, strict=True)
        ]
        while len(parts) > 1:
            kept = {*out, *(letter for _, term in parts[2:] for letter in term)}
            parts[:2] = [_contract(xp, *parts[0], *parts[1], kept)]
        x, term = _sum_out(xp, *parts[0], set(out))
        x = _arrange(xp, x, term, out)
        # of one operand it may still be the memory
        return xp.asarray(x, copy=True) if len(arrays) == 1 else x

    def backward(g, z, *operands, subscripts):
        terms, out = _terms(subscripts)
        lengths = _lengths(terms, [x.shape for x in operands])
        return tuple(
            _gradient(g, out, operands, terms, position, lengths)
            for position in range(len(operands))
        )

    def flops(z, *operands, subscripts):
        terms, out = _terms(subscripts)
        lengths = _lengths(terms, [x.shape for x in operands])
        total, first = 0, terms[0]
        for position, second in enumerate(terms[1:], start=2):
            kept = {*out, *(letter for term in terms[position:] for letter in term)}
            letters = dict.fromkeys(first + second)
            total += 2 * _size(letters, lengths)
            first = "".join(letter for letter in letters if letter in kept)
        return total or _size(dict.fromkeys(first), lengths)


# -- subscripts --------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1024)
def _terms(subscripts: str) -> tuple[tuple[str, ...], str]:
    """Return the letters of each operand and of the result."""
    inputs, _, out = subscripts.partition("->")
    return tuple(inputs.split(",")), out


def _explicit(subscripts: str, shapes: list[tuple[int, ...]]) -> str:
    """Return ``subscripts`` with the result's letters, and with letters in the place of ``...``."""
    inputs, arrow, out = "".join(subscripts.split()).partition("->")
    terms = inputs.split(",")
    _check_letters(subscripts, [*terms, out])
    counts = _further_axes(subscripts, terms, shapes)
    free = [letter for letter in string.ascii_letters if letter not in inputs + out]
    if max(counts) > len(free):
        raise GraphError(f"einsum: subscripts {subscripts!r} leave no letters for '...'")
    dots = "".join(free[: max(counts)])
    terms = [
        term.replace("...", dots[len(dots) - count :])
        for term, count in zip(terms, counts, strict=True)
    ]
    letters = "".join(terms)
    if not arrow:
        single = sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots)
        out = "..." + "".join(single)
    out = out.replace("...", dots)
    for letter in out:
        if out.count(letter) > 1 or letter not in letters:
            why = "twice in the result" if out.count(letter) > 1 else "in the result alone"
            raise GraphError(f"einsum: subscripts {subscripts!r}: '{letter}' stands {why}")
    return f"{','.join(terms)}->{out}"


def _check_letters(subscripts: str, parts: list[str]) -> None:
    for part in parts:
        for character in part.replace("...", "", 1):
            if character not in string.ascii_letters:
                raise GraphError(
                    f"einsum: subscripts {subscripts!r}: {character!r} is neither a letter nor "
                    f"part of one '...', ',' or '->'"
                )


def _further_axes(subscripts: str, terms: list[str], shapes: list[tuple[int, ...]]) -> list[int]:
    """Return for each operand how many axes ``...`` stands for."""
    if len(terms) != len(shapes):
        noun = "operand" if len(terms) == 1 else "operands"
        raise ShapeError(
            f"subscripts {subscripts!r} are for {len(terms)} {noun}, not {len(shapes)}"
        )
    counts = []
    for position, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        named = len(term.replace("...", ""))
        if named != len(shape) and not ("..." in term and named < len(shape)):
            raise ShapeError(
                f"subscripts {subscripts!r} name {named} axes of operand {position}, "
                f"which is of shape {shape}"
            )
        counts.append(len(shape) - named)
    return counts


def _lengths(terms: tuple[str, ...], shapes: list[tuple[int, ...]]) -> dict[str, int]:
    """Return the length of the axis that each letter names."""
    found: dict[str, tuple[int, int]] = {}
    for position, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        for letter, length in zip(term, shape, strict=True):
            known, holder = found.get(letter, (length, position))
            if known != length and (holder == position or 1 not in (known, length)):
                raise ShapeError(
                    f"'{letter}' is an axis of length {known} of operand {holder} and of length "
                    f"{length} of operand {position}: shapes "
                    f"{' and '.join(str(shapes[p]) for p in dict.fromkeys((holder, position)))}"
                )
            if letter not in found or known == 1:
                found[letter] = (length, position)
    return {letter: length for letter, (length, _) in found.items()}


def _size(letters, lengths):
    total = 1
    for letter in letters:
        total *= lengths[letter]
    return total


# -- contraction -------------------------------------------------------------------------------


def _diagonal(xp, x, term):
    """Return ``x`` and its letters once each, with the diagonal taken of those it has twice."""
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            first = term.index(letter)
            second = term.index(letter, first + 1)
            rest = [axis for axis in range(x.ndim) if axis not in (first, second)]
            n = x.shape[first]
            x = xp.permute_dims(x, (*rest, first, second))
            # the elements of the diagonal of an (n, n) matrix are n + 1 apart
            x = xp.reshape(x, (*x.shape[:-2], n * n))[..., :: n + 1]
            term = "".join(term[axis] for axis in rest) + letter
    return x, term


def _squeezed(xp, part, lengths):
    """Leave out the axes of length 1 that broadcast."""
    x, term = part
    kept = [i for i, letter in enumerate(term) if x.shape[i] == lengths[letter]]
    if len(kept) < len(term):
        x = xp.reshape(x, tuple(x.shape[i] for i in kept))
    return x, "".join(term[i] for i in kept)


def _sum_out(xp, x, term, kept):
    """Sum over the axes whose letters are not in ``kept``."""
    gone = tuple(i for i, letter in enumerate(term) if letter not in kept)
    if not gone:
        return x, term
    # small integers are summed as they are, as a matrix product sums them
    x = xp.sum(x, axis=gone, dtype=x.dtype)
    return x, "".join(letter for letter in term if letter in kept)


def _arrange(xp, x, term, wanted):
    order = tuple(term.index(letter) for letter in wanted)
    return x if order == tuple(range(len(order))) else xp.permute_dims(x, order)


def _contract(xp, a, a_term, b, b_term, kept):
    """Return the product of two operands, summed over the letters that are not ``kept``."""
    a, a_term = _sum_out(xp, a, a_term, kept | set(b_term))
    b, b_term = _sum_out(xp, b, b_term, kept | set(a_term))
    both = [letter for letter in a_term if letter in b_term]
    batch = "".join(letter for letter in both if letter in kept)
    summed = "".join(letter for letter in both if letter not in kept)
    rows = "".join(letter for letter in a_term if letter not in b_term)
    columns = "".join(letter for letter in b_term if letter not in a_term)
    lengths = dict(zip(a_term + b_term, (*a.shape, *b.shape), strict=True))
    out = batch + rows + columns
    a = _arrange(xp, a, a_term, batch + rows + summed)
    b = _arrange(xp, b, b_term, batch + (summed + columns if summed else columns))
    outer, m, k, n = (_size(letters, lengths) for letters in (batch, rows, summed, columns))
    shape = tuple(lengths[letter] for letter in out)
    if not summed:
        return xp.reshape(xp.reshape(a, (outer, m, 1)) * xp.reshape(b, (outer, 1, n)), shape), out
    if not batch:
        return xp.reshape(xp.reshape(a, (m, k)) @ xp.reshape(b, (k, n)), shape), out
    return xp.reshape(xp.reshape(a, (outer, m, k)) @ xp.reshape(b, (outer, k, n)), shape), out


# -- gradient ----------------------------------------------------------------------------------


def _gradient(g, out, operands, terms, position, lengths):
    """Return ∂L/∂(one operand): the einsum of ∂L/∂z and the others."""
    x, term = operands[position], terms[position]
    others = [
        (operand, letters)
        for i, (operand, letters) in enumerate(zip(operands, terms, strict=True))
        if i != position
    ]
    wanted, factors = _spread(x, term, [(g, out), *others], lengths)
    known = {letter for _, letters in factors for letter in letters}
    # an axis that broadcast gets the sum over it, and one that was summed alone the same everywhere
    kept = [
        letter
        for letter, length in zip(wanted, x.shape, strict=True)
        if letter in known and length == lengths.get(letter, length)
    ]
    subscripts = f"{','.join(letters for _, letters in factors)}->{''.join(kept)}"
    gradient = einsum(*(value for value, _ in factors), subscripts=subscripts)
    if len(kept) < len(wanted):
        shape = tuple(n if letter in kept else 1 for letter, n in zip(wanted, x.shape, strict=True))
        gradient = broadcast_to(gradient.reshape(shape), x.shape)
    return gradient


def _spread(x, term, factors, lengths):
    """Give each axis a letter of its own, and tie those of a diagonal by an identity matrix."""
    used = set("".join([term, *(letters for _, letters in factors)]))
    free = (letter for letter in string.ascii_letters if letter not in used)
    wanted = ""
    for letter, length in zip(term, x.shape, strict=True):
        if letter in wanted:
            again = next(free)
            if length == lengths[letter]:
                factors = [*factors, (eye(length, dtype=x.dtype), letter + again)]
            letter = again
        wanted += letter
    return wanted, factors
