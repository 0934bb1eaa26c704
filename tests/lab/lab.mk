# The lab's targets, for the Makefile at the top.
LAB := tests/lab/lab

.PHONY: lab-install lab-up lab-status lab-down
lab-install lab-up lab-status lab-down: lab-%:
	@$(LAB) $*
