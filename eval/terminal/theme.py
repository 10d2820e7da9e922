"""Colours that the colour-blind tell apart (Okabe and Ito, 2008); a sign or a word beside each says the same."""

RISE = "#56b4e9"
FALL = "#e69f00"
WON = "#009e73"
LOST = "#d55e00"
CHANGED = "#f0e442"
HIT_COLOR = "#000000"
HIT_BACKGROUND = "#f0e442"
