"""English words and phrases that text_v2 counts.

Phrases are parts of a text: what begins with a blank begins a word there ("there are" is not " here are").
"""

CONSTRAINT_WORDS = (
    "must",
    "should",
    "only",
    "exactly",
    "at least",
    "at most",
    "more than",
    "less than",
    "limit",
    "within",
    "between",
    "without",
    "avoid",
    "ensure",
    "never",
    "always",
)
COMPLIANCE_PHRASES = (
    " sure,",
    " sure!",
    "certainly",
    "of course",
    "absolutely",
    " here is",
    " here are",
    " here's",
    "happy to",
    "glad to",
)
REFUSAL_PHRASES = (
    "i cannot",
    "i can't",
    "i won't",
    "i am unable",
    "i'm unable",
    "i am not able",
    "i'm not able",
    "i'm sorry",
    "i apologize",
    "as an ai",
)
EXAMPLE_PHRASES = (
    "for example",
    "for instance",
    "such as",
    "e.g.",
    "as an example",
    "to illustrate",
    "consider the following",
    "let's say",
    "imagine that",
)
HEDGES = frozenset("may might could perhaps possibly maybe likely probably seems".split())  # noqa: SIM905
TRANSITIONS = frozenset(
    "however therefore moreover furthermore additionally consequently thus meanwhile finally "  # noqa: SIM905
    "nevertheless similarly instead overall".split()
)
STOP_WORDS = frozenset(
    "a an the and or but if of to in on at by for from with as about into than that this these those it its is are "  # noqa: SIM905
    "was were be been being am do does did have has had can could will would should may might must not no so i you he "
    "she we they me him her us them my your his our their what which who how when where why there here".split()
)
