from helper_fills_the_program import KNOWN

KNOWN.append("helper")
