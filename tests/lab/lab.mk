# The lab's targets, for the Makefile at the top.
.PHONY: lab-install lab-up lab-status lab-down
lab-install lab-up lab-status lab-down: lab-%:
	@tests/lab/lab $*
