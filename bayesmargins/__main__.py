"""`python -m bayesmargins`: the command line."""

from bayesmargins.command_line import main

if __name__ == "__main__":
    main(prog_name="bayesmargins")
