"""Tokens of a C++ file, and the statements of its function bodies: the part of the grammar that mutants need."""
import re

TOKEN = re.compile(r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<directive>^[ \t]*\#(?:[^\n\\]|\\.|\\\n)*)
  | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)+')
  | (?P<number>(?:0[xX][0-9a-fA-F.]+(?:[pP][+-]?\d+)?|\d[\d']*\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)[fFuUlL]*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<op><<=|>>=|<=>|->\*|\.\.\.|->|::|\+\+|--|<<|<=|>=|==|!=|&&|\|\||\+=|-=|\*=|/=|\|=|&=|%=|[^\s\w])
""", re.X | re.M | re.S)

OPENERS = {"(": ")", "[": "]", "{": "}"}


class Token:
    __slots__ = ("kind", "text", "start", "end", "match", "depth")

    def __init__(self, kind, text, start, end):
        self.kind, self.text, self.start, self.end = kind, text, start, end
        self.match = None
        self.depth = 0


def tokenize(text):
    tokens = []
    for m in TOKEN.finditer(text):
        if m.lastgroup not in ("comment", "directive"):
            tokens.append(Token(m.lastgroup, m.group(), m.start(), m.end()))
    stack = []
    for i, t in enumerate(tokens):
        if t.kind == "op" and t.text in OPENERS:
            t.depth = len(stack)
            stack.append(i)
        elif t.kind == "op" and t.text in OPENERS.values():
            opener = stack.pop()
            tokens[opener].match, t.match, t.depth = i, opener, len(stack)
        else:
            t.depth = len(stack)
    return tokens


def is_block(tokens, i):
    """True for a '{' that opens statements."""
    j = tokens[i].match
    return any(t.text == ";" for t in tokens[i:j])


def is_code(tokens, i, parents):
    before = tokens[i - 1].text if i else ""
    return parents or before in (")", "const", "override", "noexcept", "else", "try", "do", "mutable")


def statements(tokens):
    """Yields (first, last) token ranges of the statements of function bodies; last is the ';'."""
    def walk(lo, hi, code):
        start = lo
        i = lo
        while i < hi:
            t = tokens[i]
            if t.text == "{" and t.kind == "op":
                if is_block(tokens, i):
                    inner = is_code(tokens, i, code)
                    if code and start < i:
                        yield (start, i, False)
                    yield from walk(i + 1, t.match, inner)
                    i = start = t.match + 1
                    continue
                i = t.match + 1
                continue
            if t.text in ("(", "[") and t.kind == "op":
                for k in range(i, t.match):  # bodies of lambdas among arguments
                    if tokens[k].text == "{" and is_block(tokens, k) and tokens[k].depth >= t.depth:
                        if not any(tokens[p].text == "{" and is_block(tokens, p) and p < k < tokens[p].match
                                   for p in range(i, k)):
                            yield from walk(k + 1, tokens[k].match, True)
                i = t.match + 1
                continue
            if t.text == ";":
                if code and start < i:
                    yield (start, i, True)
                start = i + 1
            i += 1
    yield from walk(0, len(tokens), False)
