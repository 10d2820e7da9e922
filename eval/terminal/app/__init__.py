"""The terminal program, in textual: a file a screen or widget. What is shown is worked out beside this folder."""
