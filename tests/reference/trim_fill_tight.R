# Trim and fill with REML by metafor, every fit with tight convergence: the packed records ran the fits inside of
# trimfill() with metafor's own tolerance, which stops up to 1e-5 from the root whatever the scale.
#
#     python tests/reference/trim_fill_tight.py    writes the rows to standard input and keeps what comes out
suppressMessages(library(metafor))
rows <- read.csv(file("stdin"))
tight <- list(threshold = 1e-13, maxiter = 100000, stepadj = 0.5)
for (key in unique(rows$key)) {
  set <- rows[rows$key == key, ]
  filled <- try(suppressWarnings({
    pooled <- rma(set$yi, set$vi, method = "REML", test = "z", control = tight)
    trimfill(pooled, estimator = set$estimator[1], control = tight)
  }), silent = TRUE)
  if (inherits(filled, "try-error")) next
  numbers <- with(filled, c(k0, se.k0, beta, se, ci.lb, ci.ub, tau2, I2, QE))
  cat(key, filled$side, sprintf("%.17g", numbers), sep = ",")
  cat("\n")
}
