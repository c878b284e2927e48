# One fit by lme4 and its printed summary. Arguments: rows (a CSV file), formula, family, nodes, when the process started.
# Prints seconds: imports, wall, processor. Eleven nodes for one effect a group: that is the fit which integrates too.
suppressMessages(library(lme4))
arguments <- commandArgs(TRUE)
imported <- as.numeric(Sys.time()) - as.numeric(arguments[5])
rows <- read.csv(arguments[1])
formula <- as.formula(arguments[2])
begin <- proc.time()
fit <- if (arguments[3] == "gaussian") lmer(formula, rows) else
  glmer(formula, rows, family = arguments[3], nAGQ = as.integer(arguments[4]))
print(summary(fit))
end <- proc.time()
cat(imported, end[3] - begin[3], sum(end[1:2] - begin[1:2]), "\n")
