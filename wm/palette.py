"""One colour, label and marker for each concept, in all figures."""

__all__ = ["CMAPS", "COLORS", "LABELS", "MARKERS", "SHORT", "SYSTEMS"]

# Families of each system: label, colour (as published; a variant without one lies near its parent), marker.
# Colour-blind readers confuse some of the published reds and greens, so the marker tells families apart too.
_RING = {
    "wmd": ("Trained", "#000000", "o"),
    "wmd_stopped": ("Trained, stopped", "#4D4D4D", "p"),
    "wmonly": ("WM-only", "#808080", "s"),
    "g": ("G", "#B41F24", "^"),
    "sa": ("SA", "#009444", "D"),
    "sa_fixed": ("SA, fixed ratio", "#7CCBA2", "d"),
    "rt": ("R/T", "#B3A032", "v"),
    "rt_learned": ("R/T, learned", "#DDD08A", "8"),
    "rt_sa": ("R/T+SA", "#84BD00", "X"),
    "it": ("I/T", "#3E4D99", "P"),
    "it_sa": ("I/T+SA", "#3FA9C9", "h"),
    "g_rt": ("G+R/T", "#9A583F", "<"),
    "g_it": ("G+I/T", "#9A3E84", ">"),
    "mst1": ("MST1-like", "#F15A29", "*"),
    "mst2": ("MST2-like", "#F7A278", "H"),
}
_SYMBOLIC = {
    "cycle": ("Transformer", "#1B6CA8", "o"),
    "sampled": ("Transformer, batches of 128", "#0B3C5D", "v"),
    "jitter": ("Transformer, jittered", "#56B4E9", "s"),
    "scrambled": ("Transformer, scrambled", "#8A8A8A", "X"),
    "gru": ("GRU", "#D55E00", "^"),
    "mlp": ("MLP", "#009E73", "D"),
    "lorenz": ("Transformer, Lorenz", "#7A4FA3", "P"),
}
_DICTIONARIES = {
    "relu": ("ReLU, L1", "#332288", "o"),
    "topk": ("TopK", "#56A7D8", "s"),
    "batchtopk": ("BatchTopK", "#2E9C8D", "^"),
    "jumprelu": ("JumpReLU", "#AA4499", "D"),
}
# What is drawn beside networks: the same networks before training, what is exact or true, other predictors.
_BESIDE = {
    "untrained": ("Transformer, untrained", "#A6764E", "d"),
    "exact": ("exact predictor", "#111111", "_"),
    "true": ("True", "#222222", "8"),
    "hazard": ("Hazard", "#999933", "<"),
    "ngram": ("n-gram", "#A63A50", ">"),
    "markov": ("Markov", "#7F7F7F", "p"),
    "shuffled": ("Shuffled", "#BDBDBD", "*"),
}
_STAGES = {
    "stage_0": ("before attention", "#C28C2C", "o"),
    "stage_1": ("after attention", "#7B2D43", "s"),
}
_RULES = {
    "none": ("No plasticity", "#5F6B73", "s"),
    "hebbian": ("Hebbian", "#E8750A", "^"),
    "gradient": ("Gradient", "#1F77B4", "o"),
    "oja": ("Oja", "#8C564B", "D"),
    "delta": ("Delta", "#9467BD", "v"),
}
_OTHER_ATTENTION = {
    "linear_attention": ("Linear attention", "#17A398", "P"),
    "delta_net": ("Delta network", "#C2557A", "X"),
}
# markers repeat between these, never within
SYSTEMS = (_RING, _SYMBOLIC, _DICTIONARIES, _BESIDE, _STAGES, _RULES | _OTHER_ATTENTION)
_FAMILIES = {name: look for families in SYSTEMS for name, look in families.items()}
LABELS = {name: label for name, (label, _, _) in _FAMILIES.items()}
MARKERS = {name: marker for name, (_, _, marker) in _FAMILIES.items()}
COLORS = {name: colour for name, (_, colour, _) in _FAMILIES.items()} | {
    "target": "#0072B2",
    "distractor": "#E69F00",
    "go": "#CC79A7",
    "delay": "#ECECEC",
    "chance": "#A6A6A6",
    "published": "#8C8C8C",
    "symbol_0": "#4477AA",
    "symbol_1": "#EE6677",
    "symbol_2": "#228833",
    "chosen": "#D0005F",  # what the reader picked
    "other_features": "#9C6B98",  # controls of an edit
    "random_direction": "#7A7A7A",
    "no_effect": "#D4D4D4",  # what becomes of an edited string
    "lock_in": "#3B1F5B",
    "timing_error": "#C7A94A",
    "other": "#B3446C",
}
# Labels of families where there is little room, on two lines.
SHORT = LABELS | {
    name: label.replace("Transformer", "Transf.").replace("batches of ", "batch ").replace(", ", ",\n")
    for name, label in LABELS.items()
    if label.startswith("Transformer")
}
CMAPS = {"sequential": "viridis", "diverging": "RdBu_r", "circular": "twilight"}
