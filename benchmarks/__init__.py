"""What each performance claim was measured with, against which peer: ``make bench``."""
