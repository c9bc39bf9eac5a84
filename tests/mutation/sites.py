"""Finds the code of a C++ file that can be mutated, and writes the file with all its mutants.

A mutant is a small edit of one statement. All mutants of a file are compiled at once: the statement is repeated with the
edit, and a number selects one when the program starts. One build therefore suffices for all mutants.

The parser relies on the layout of .clang-format: binary operators have spaces around them, unary ones do not.
"""
import re

from tokens import OPENERS, is_block, statements, tokenize

COMPARISONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&"}
BINARY = set(COMPARISONS) | {"+", "-", "*", "/", "%"}
STOPS = {",", ";", "?", ":", "=", "+=", "-=", "*=", "/=", "|=", "&=", "<<", "return"}
COMMUTES = {"add", "mul", "maximum", "minimum", "equal", "not_equal", "min", "max", "fmin", "fmax", "logical_and",
            "logical_or", "set_edge", "is_same_v", "swap", "check_same_shape", "check_same_kind"}
WAITS = {"__syncthreads", "__syncwarp", "__threadfence", "__threadfence_system", "cudaStreamWaitEvent", "cudaEventRecord",
         "cudaEventSynchronize", "cudaStreamSynchronize", "synchronize"}  # barriers in GPU code
SHUFFLES = {"__shfl_sync", "__shfl_xor_sync"}
NO_STATEMENT = {"static", "constexpr", "using", "template", "struct", "class", "enum", "namespace", "typedef", "public",
                "private", "protected", "friend", "static_assert", "extern", "throw", "goto"}

class Mutant:
    """One edit: text[start:end] becomes `new`, inside statement `span` of `kind`."""

    def __init__(self, operator, start, end, new):
        self.operator, self.start, self.end, self.new = operator, start, end, new
        self.path = self.line = self.number = self.span = self.old = self.key = None

    def __str__(self):
        return self.key

    def name(self, text):
        """Returns its key: file, kind, and the statement with the edit marked. The key does not depend on line numbers.
        Equal edits of equal statements in a file share a key."""
        before, after = flat(text[self.span.start:self.start]), flat(text[self.end:self.span.end])
        edit = f"[[{flat(self.old)} => {flat(self.new)}]]"
        self.key = " ".join(f"{self.path}: {self.operator}: {before} {edit} {after}".split())


class Span:
    """A piece of text that is replaced: a statement ('return', 'expression') or an expression ('value')."""

    def __init__(self, kind, start, end):
        self.kind, self.start, self.end, self.mutants = kind, start, end, []


def skip_controls(tokens, first, last):
    """Yields the conditions of leading if, while and for. Returns the start of the statement after them."""
    groups = []
    i = first
    while i < last:
        word = tokens[i].text
        if word in ("if", "while", "for", "switch"):
            i += 1
            constant = tokens[i].text == "constexpr"
            i += constant
            if not constant and word != "switch":
                groups.append((i + 1, tokens[i].match))
            i = tokens[i].match + 1
            if tokens[i].text == "[" and tokens[i + 1].text == "[":
                i = tokens[i].match + 1
        elif word in ("else", "do"):
            i += 1
        elif word in ("case", "default"):
            while tokens[i].text != ":":
                i += 1
            i += 1
        else:
            break
    return groups, i


def is_declaration(tokens, first, last):
    if tokens[first].text in ("const", "auto"):
        return True
    i = first
    if tokens[i].kind != "name":
        return False
    while i < last:  # a type: names, ::, <...>, then * or &, then a name
        if tokens[i].text == "<" and tokens[i].start == tokens[i - 1].end:
            depth = 0
            while i < last:
                depth += (tokens[i].text == "<") - (tokens[i].text == ">")
                i += 1
                if depth == 0:
                    break
            continue
        if tokens[i].text in ("*", "&") and tokens[i].start == tokens[i - 1].end:
            return True
        if tokens[i].kind == "name" and i > first and tokens[i - 1].kind == "name":
            return True
        if tokens[i].kind == "name" and i > first and tokens[i - 1].text == ">":
            return True
        if tokens[i].kind != "name" and tokens[i].text != "::":
            return False
        i += 1
    return False


def operand_right(tokens, k, tight):
    """Returns the end (token index) of the operand that begins at k. tight: an operand of * or /."""
    depth = tokens[k].depth
    i = k
    while i < len(tokens):
        t = tokens[i]
        if t.kind == "op" and t.text in OPENERS:
            i = t.match + 1
            continue
        if t.depth < depth or t.text in STOPS or (t.kind == "op" and t.text in OPENERS.values()):
            break
        if i > k and t.kind == "op" and t.text in BINARY and spaced(tokens, i) and (tight or t.text not in "*/%"):
            break
        i += 1
    return i


def operand_left(tokens, k, tight):
    """Returns the first token of the operand that ends before k."""
    i = k - 1
    while i >= 0:
        t = tokens[i]
        if t.kind == "op" and t.text in OPENERS.values():
            i = t.match - 1
            continue
        if t.text in STOPS or (t.kind == "op" and t.text in OPENERS):
            break
        if t.kind == "op" and t.text in BINARY and spaced(tokens, i) and (tight or t.text not in "*/%"):
            break
        i -= 1
    return i + 1


def spaced(tokens, i):
    return tokens[i].start > tokens[i - 1].end and i + 1 < len(tokens) and tokens[i + 1].start > tokens[i].end


def arguments(tokens, opener):
    """Returns the token ranges of the arguments of a call."""
    ranges, start, i = [], opener + 1, opener + 1
    close = tokens[opener].match
    while i < close:
        t = tokens[i]
        if t.kind == "op" and t.text in OPENERS:
            i = t.match + 1
            continue
        if t.text == ",":
            ranges.append((start, i))
            start = i + 1
        i += 1
    if start < close:
        ranges.append((start, close))
    return ranges


def changed_number(text):
    body = text.rstrip("fFuUlL")
    suffix = text[len(body):]
    if re.fullmatch(r"\d+", body):
        return str(int(body) + 1) + suffix
    if body.lower().startswith("0x"):
        return None
    value = float(body.replace("'", ""))
    return repr(value * 1.5 if value else 1.0) + suffix


def edits(text, tokens, lo, hi):
    """Returns all mutants of the tokens lo to hi."""
    def source(a, b):
        return text[tokens[a].start:tokens[b - 1].end]

    for i in range(lo, hi):
        t = tokens[i]
        in_angles = tokens[i - 1].text == "<" and tokens[i - 1].end == t.start or (
            i + 1 < hi and tokens[i + 1].text == ">" and tokens[i + 1].start == t.end)
        if not in_angles and (t.kind == "number" or t.text in ("true", "false")):
            new = {"true": "false", "false": "true"}.get(t.text) or changed_number(t.text)
            if new:
                yield Mutant("constant", t.start, t.end, new)
        if t.kind == "op" and i > lo and spaced(tokens, i):
            if t.text in COMPARISONS:
                yield Mutant("comparison", t.start, t.end, COMPARISONS[t.text])
            if t.text in ("+", "-"):
                yield Mutant("sign", t.start, t.end, "-" if t.text == "+" else "+")
            if t.text in ("+=", "-="):
                yield Mutant("sign", t.start, t.end, "-=" if t.text == "+=" else "+=")
            if t.text in ("+", "-", "*", "/"):
                tight = t.text in "*/"
                right, left = operand_right(tokens, i + 1, tight), operand_left(tokens, i, tight)
                yield Mutant("term", tokens[i - 1].end, tokens[right - 1].end, "")
                if t.text in "+*" and left < i:
                    yield Mutant("term", tokens[left].start, tokens[i + 1].start, "")
                if t.text == "/" and left < i:
                    yield Mutant("swap", tokens[left].start, tokens[right - 1].end,
                                 f"{source(i + 1, right)} / {source(left, i)}")
        elif t.text == "-" and i + 1 < hi and tokens[i + 1].start == t.end and tokens[i + 1].text != "-":
            yield Mutant("sign", t.start, t.end, "")
        if t.text == "(" and i > lo and tokens[i - 1].kind == "name" and tokens[i - 1].text not in COMMUTES:
            args, name = arguments(tokens, i), tokens[i - 1].text
            if len(args) >= 2:
                a, b = source(*args[0]), source(*args[1])
                if a != b and "[" not in (a[0], b[0]):
                    yield Mutant("swap", tokens[args[0][0]].start, tokens[args[1][1] - 1].end, f"{b}, {a}")
            if name in SHUFFLES:
                start, end = tokens[args[2][0]].start, tokens[args[2][1] - 1].end
                yield Mutant("lane", start, end, f"({text[start:end]}) ^ 1")
            if args and name in ("sum", "sum_to", "mean", "expand") and tokens[i - 2].text not in ("::", ".", "->"):
                end = tokens[tokens[i].match].end
                new = f"sum({text[tokens[i].end:end]}" if name == "mean" else source(*args[0])
                yield Mutant("reduction", tokens[i - 1].start, end, new)


def is_constant(tokens, k):
    """Returns True if the function that is named at k is declared constexpr or consteval."""
    while k > 0 and tokens[k].text not in ("{", "}", ";"):
        k -= 1
        if tokens[k].text in ("constexpr", "consteval"):
            return True
    return False


def functions(tokens):
    """Yields (first, last, name) of every body after name(...). The name is None for constexpr functions."""
    for i, t in enumerate(tokens):
        if t.text == "{" and t.kind == "op" and is_block(tokens, i):
            k = i - 1
            while tokens[k].text in ("const", "override", "noexcept", "mutable"):
                k -= 1
            if tokens[k].text == ")" and tokens[tokens[k].match - 1].kind == "name":
                named = tokens[k].match - 1
                yield tokens[i].start, tokens[tokens[i].match].end, None if is_constant(tokens, named) else tokens[named].text


def find(path, text, only=None, gpu=False):
    """All mutants of a file, in order, each with its span. only: names of functions, or None for all. gpu: the first item
    and the step of loops too, by which threads share work; every call that waits is a barrier; what the compiler runs
    is left out, since a mutant is chosen later."""
    tokens = tokenize(text)
    found = []
    named = list(functions(tokens))
    wanted = [(a, b) for a, b, name in named if only is None or name in only]
    constant = [(a, b) for a, b, name in named if name is None and gpu]

    def take(span, lo, hi, extra=()):
        for m in list(edits(text, tokens, lo, hi)) + list(extra):
            if only is not None and not any(a <= m.start < b for a, b in wanted):
                continue
            if any(a <= m.start < b for a, b in constant):
                continue
            if any(a <= m.start < b for a, b in bodies if a > span.start and b < span.end):
                continue  # belongs to a lambda inside, whose own statement contains it
            m.path, m.line, m.span = path, text.count("\n", 0, m.start) + 1, span
            m.old = text[m.start:m.end]
            m.name(text)
            span.mutants.append(m)
            found.append(m)

    def take_values(first, last):  # values of a declaration
        k = first
        while k < last:
            if tokens[k].text == "=" and tokens[k].depth == tokens[first].depth:
                end = operand_end(tokens, k + 1, last)
                if tokens[k + 1].text not in ("{", "["):
                    take(Span("value", tokens[k + 1].start, tokens[end - 1].end), k + 1, end)
                k = end
            k += 1

    ranges = list(statements(tokens))
    bodies = [(t.start, tokens[t.match].end) for i, t in enumerate(tokens)
              if t.text == "{" and t.match and is_block(tokens, i)]
    for first, last, complete in ranges:
        groups, core = skip_controls(tokens, first, last)
        if tokens[first].text in NO_STATEMENT or tokens[first].text == "(" and tokens[first - 1].text == "}":
            continue  # the text after the body of a lambda belongs to the statement before it
        if "fail" in (tokens[core].text, tokens[min(core + 1, last + 1)].text if tokens[core].text == "{" else ""):
            groups = []  # the check of an argument, which the op table tests with bad inputs
        for lo, hi in groups:
            marks = [k for k in range(lo, hi) if tokens[k].text == ";" and tokens[k].depth == tokens[lo - 1].depth + 1]
            if len(marks) == 2:  # for: its condition
                parts = [(marks[0] + 1, marks[1])]
                if gpu:
                    take_values(lo, marks[0])
                    parts.append((marks[1] + 1, hi))
            elif len(marks) == 1:
                parts = [(marks[0] + 1, hi)]
            elif any(tokens[k].text == ":" and spaced(tokens, k) and tokens[k].depth == tokens[lo - 1].depth + 1 and
                     "?" not in [tokens[j].text for j in range(lo, k)] for k in range(lo, hi)):
                continue
            else:
                parts = [(lo, hi)]
            for a, b in parts:
                if a < b and not is_declaration(tokens, a, b):
                    take(Span("value", tokens[a].start, tokens[b - 1].end), a, b)
        if not complete or core >= last or tokens[core].text in NO_STATEMENT or tokens[core].text in (
                "fail", "break", "continue", "fail_without_derivative"):
            continue
        if tokens[core].text == "return":
            take(Span("return", tokens[core].start, tokens[last].end), core + 1, last)
        elif is_declaration(tokens, core, last):
            take_values(core, last)
        else:
            whole = Span("expression", tokens[core].start, tokens[last].end)
            does_nothing = tokens[core].text == "(" and tokens[core + 1].text == "void"
            is_check = tokens[core].text.startswith("check_") and not gpu
            is_wait = gpu and any(t.text in WAITS for t in tokens[core:last])
            drop = [] if does_nothing or is_check else [
                Mutant("barrier" if is_wait else "term", tokens[core].start, tokens[last].end, ";")]
            take(whole, core, last, drop)
    return found


def operand_end(tokens, k, last):
    depth = tokens[k].depth
    while k < last and not (tokens[k].text == "," and tokens[k].depth == depth):
        k = tokens[k].match + 1 if tokens[k].kind == "op" and tokens[k].text in OPENERS else k + 1
    return k


def flat(text):
    text = re.sub(r"//[^\n]*", "", text)
    return " ".join(text.split())


def instrument(text, mutants):
    """Returns the file with the given (numbered) mutants, and {line: mutant number}."""
    spans = sorted({id(m.span): m.span for m in mutants}.values(), key=lambda s: (s.start, -s.end))
    lines = {}
    out = []

    def emit(piece):
        out.append(piece)

    def line():
        return sum(p.count("\n") for p in out) + 1

    def write(lo, hi, inside):
        at = lo
        while inside:
            span = inside.pop(0)
            nested = []
            while inside and inside[0].start < span.end:
                nested.append(inside.pop(0))
            emit(text[at:span.start])
            wanted = [m for m in mutants if m.span is span]
            emit("{" if span.kind != "value" else "(")
            for m in wanted:
                changed = flat(text[span.start:m.start] + m.new + text[m.end:span.end])
                emit("\n")
                lines[line()] = m.number
                if span.kind == "value":
                    emit(f"EBB_MUTANT({m.number}) ? ({changed}) :")
                elif span.kind == "return":
                    emit(f"if (EBB_MUTANT({m.number})) {changed}")
                else:
                    emit(f"if (EBB_MUTANT({m.number})) {{ {changed} }} else")
            emit("\n(" if span.kind == "value" else "\n")
            if span.kind == "expression":
                emit("{")
            write(span.start, span.end, nested)
            emit({"value": "))", "return": "}", "expression": "}}"}[span.kind])
            at = span.end
        emit(text[at:hi])

    write(0, len(text), list(spans))
    return '#include "ebb/core/mutant.h"\n' + "".join(out), {k + 1: v for k, v in lines.items()}
