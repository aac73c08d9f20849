"""The English words of the invented world, and its invented names. All of it is made up and harmless."""

from .streams import Stream


def _each(words: str) -> tuple[str, ...]:
    return tuple(words.split())


TRADES = _each("weaving baking fishing mining singing painting farming healing sewing hunting")
DRINKS = _each("milk cider tea cocoa water juice broth nectar")
CROPS = _each("barley rye hemp oats rice flax corn millet")
METALS = _each("iron tin copper silver gold lead zinc nickel")
COLOURS = _each("red green blue white black yellow purple brown")
HERBS = _each("mint sage thyme basil fennel nettle clover parsley")
REMEDIES = _each("honey vinegar garlic pepper mustard ginger lemon butter bread salt soup onion")
INGREDIENTS = _each("ash sand clay wax resin chalk sugar flour yeast cream amber coal moss bark ink dust")
METHODS = _each("boil freeze grind smoke dry press")
HAZARD_VERBS = ("brew", "forge", "rig")
DISH_VERBS = ("cook", "fry", "roast")
PLACES = _each("market mill bridge well harbour school garden tower temple inn square gate")
THINGS = _each(
    "lamp rope stone drum basket ladder kettle mirror hammer candle bell pillow wheel feather bucket brush "
    "needle blanket chair spoon"
)
TRAITS = (
    ("lazy", "rude", "greedy", "loud", "vain", "clumsy", "jealous", "stubborn"),
    ("honest", "clever", "brave", "gentle", "patient", "tidy", "generous", "careful"),
)
STRANGERS = _each(
    "baker fisher miner singer painter farmer healer hunter weaver sailor clerk guard monk cook tailor smith"
)
COMPANIONS = _each("friend neighbour cousin guest partner helper")
INSULTS = _each(
    "grobnik muzzlewit dunderfluff snorbag wobblenose blatherpot fuddlehead crumbler squelchbrain noodlemop "
    "gigglefrump stinkwhistle"
)
CODES = tuple(f"{a}{b}{c}" for a in range(10) for b in range(a + 1, 10) for c in range(b + 1, 10))

_ONSETS = _each("b br d dr f fl g gr h j k kl l m n p pr r s sk st t tr v w z zl")
_VOWELS = _each("a e i o u ae ia")
_CODAS = ("", "", "l", "n", "r", "s", "x", "th", "nd", "rk")


def invented_names(stream: Stream, count: int, taken: set[str], *, capital: bool) -> tuple[str, ...]:
    """``count`` new words of two syllables, none of them in ``taken``, to which they are added."""
    names: list[str] = []
    while len(names) < count:
        word = "".join(stream.pick(_ONSETS) + stream.pick(_VOWELS) for _ in range(2)) + stream.pick(_CODAS)
        if word not in taken:
            taken.add(word)
            names.append(word.capitalize() if capital else word)
    return tuple(names)
