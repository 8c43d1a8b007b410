"""Write the tables of class-disjoint splits, `assets/<set>/splits.json`.

    python assets/splits.py                  # or some of emoji kanji omniglot cifarfs

emoji, kanji: `random`, 64, 16 and 20 % of the classes with seed 0, and `groups`, whole Unicode groups or
radicals, as near to these shares as they allow. omniglot: the published 30 background and 20 evaluation
alphabets (Lake et al. 2015, Science 350:1332), validation being the five smallest of the background
(Triantafillou et al. 2020, ICLR, arXiv 1903.03096). cifarfs: as published by Bertinetto et al. 2019 (ICLR,
arXiv 1805.08136).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from wm.files import write_json
from wm.plastic.fewshot import emoji, kanji, splits

SEED = 0
BACKGROUND = {
    "Alphabet_of_the_Magi": 20, "Anglo-Saxon_Futhorc": 29, "Arcadian": 26, "Armenian": 41,
    "Asomtavruli_(Georgian)": 40, "Balinese": 24, "Bengali": 46,
    "Blackfoot_(Canadian_Aboriginal_Syllabics)": 14, "Braille": 26, "Burmese_(Myanmar)": 34, "Cyrillic": 33,
    "Early_Aramaic": 22, "Futurama": 26, "Grantha": 43, "Greek": 24, "Gujarati": 48, "Hebrew": 22,
    "Inuktitut_(Canadian_Aboriginal_Syllabics)": 16, "Japanese_(hiragana)": 52, "Japanese_(katakana)": 47,
    "Korean": 40, "Latin": 26, "Malay_(Jawi_-_Arabic)": 40, "Mkhedruli_(Georgian)": 41, "N_Ko": 33,
    "Ojibwe_(Canadian_Aboriginal_Syllabics)": 14, "Sanskrit": 42, "Syriac_(Estrangelo)": 23, "Tagalog": 17,
    "Tifinagh": 55,
}  # fmt: skip
EVALUATION = {
    "Angelic": 20, "Atemayar_Qelisayer": 26, "Atlantean": 26, "Aurek-Besh": 26, "Avesta": 26, "Ge_ez": 26,
    "Glagolitic": 45, "Gurmukhi": 45, "Kannada": 41, "Keble": 26, "Malayalam": 47, "Manipuri": 40,
    "Mongolian": 30, "Old_Church_Slavonic_(Cyrillic)": 45, "Oriya": 46, "Sylheti": 28, "Syriac_(Serto)": 23,
    "Tengwar": 25, "Tibetan": 42, "ULOG": 26,
}  # fmt: skip
CIFARFS = {
    "train": """
        apple aquarium_fish bear bee boy bottle bowl bridge bus can castle caterpillar chair clock cloud
        cockroach couch cup dinosaur dolphin elephant forest girl hamster house kangaroo keyboard
        lawn_mower lion lizard lobster mountain mouse mushroom oak_tree orange orchid palm_tree pear
        pine_tree plate porcupine possum rabbit raccoon ray road seal shrew skunk skyscraper snake
        spider squirrel streetcar sunflower tank tiger train trout tulip turtle willow_tree wolf""",
    "validation": """
        beaver beetle butterfly camel cattle crab crocodile flatfish lamp maple_tree motorcycle otter
        sea shark television tractor""",
    "test": """
        baby bed bicycle chimpanzee fox leopard man pickup_truck plain poppy rocket rose snail
        sweet_pepper table telephone wardrobe whale woman worm""",
}


def shipped(images) -> dict:
    """Both splits of a set that is shipped."""
    groups = splits.draw_groups(images.names, images.groups)
    return {"random": splits.draw(images.names, SEED), "groups": groups}


def omniglot() -> dict:
    smallest = sorted(BACKGROUND, key=lambda alphabet: (BACKGROUND[alphabet], alphabet))[:5]
    parts = {
        "train": {a: count for a, count in BACKGROUND.items() if a not in smallest},
        "validation": {a: BACKGROUND[a] for a in smallest},
        "test": EVALUATION,
    }
    return {"groups": {part: characters(parts[part]) for part in parts}}


def characters(alphabets: dict[str, int]) -> list[str]:
    return [f"{a}/character{k:02d}" for a, count in alphabets.items() for k in range(1, count + 1)]


TABLES = {
    "emoji": lambda: shipped(emoji.load()),
    "kanji": lambda: shipped(kanji.load(1)),
    "omniglot": omniglot,
    "cifarfs": lambda: {"random": {part: sorted(names.split()) for part, names in CIFARFS.items()}},
}


def main(names: list[str]) -> None:
    for name in names or TABLES:
        tables = TABLES[name]()
        for parts in tables.values():
            found = splits.Split(**{part: tuple(parts[part]) for part in splits.PARTS})
            parts["sha256"] = splits.digest(found)
        write_json(splits.place(name), tables)


if __name__ == "__main__":
    main(sys.argv[1:])
