from acme.first import NAME as OTHER

NAME = OTHER + " and second"
