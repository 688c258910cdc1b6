number <- function(x) ifelse(is.na(x), "-", formatC(x, digits = 6, format = "g"))

limits <- function(fit, p) {
  # The interval for a similar centre: t with k - 2 degrees of freedom (Higgins, Thompson and Spiegelhalter 2009)
  b <- as.numeric(fit$beta)
  if (is.null(fit$tau2) || fit$k < 3 || p$method %in% c("EE", "FE")) return(c(pi_lb = NA, pi_ub = NA))
  reach <- qt(1 - (1 - p$level) / 2, fit$k - 2) * sqrt(as.numeric(fit$se)^2 + fit$tau2)
  c(pi_lb = b - reach, pi_ub = b + reach)
}

values <- function(fit, p, q = fit$QE) {
  tau2 <- if (is.null(fit$tau2)) NA else fit$tau2
  i2 <- if (is.null(fit$I2)) NA else fit$I2
  c(beta = as.numeric(fit$beta), se = as.numeric(fit$se), ci_lb = fit$ci.lb, ci_ub = fit$ci.ub,
    limits(fit, p), tau2 = tau2, I2 = i2, Q = q)
}

as_normal <- function(p, yi, vi) {
  control <- if (p$method %in% c("ML", "REML", "EB")) list(threshold = 1e-10, maxiter = 10000) else list()
  rma(yi, vi, method = p$method, test = p$test, level = 100 * p$level, control = control)
}

of_counts <- function(p) {
  # Nobody or everybody had the event, or there is one study: the exact interval of the sum
  d <- p$rows
  x <- sum(d$events); n <- sum(d$n)
  exact <- binom.test(x, n, conf.level = p$level)$conf.int
  if (nrow(d) == 1 || x == 0 || x == n) return(c(beta = qlogis(x / n), ci_lb = qlogis(exact[1]), ci_ub = qlogis(exact[2])))
  fit <- rma.glmm(measure = "PLO", xi = d$events, ni = d$n, nAGQ = p$nodes, test = p$test, level = 100 * p$level,
                  control = list(optCtrl = list(maxfun = 1e6)))
  values(fit, p, fit$QE.LRT)
}

redo <- function(p) {
  d <- p$rows
  if (p$model == "binomial_normal") return(of_counts(p))
  if (p$model == "mantel_haenszel") {
    fit <- rma.mh(ai = d$events, n1i = d$n, ci = d$events_control, n2i = d$n_control, measure = p$measure,
                  level = 100 * p$level, drop00 = FALSE)
    return(c(beta = as.numeric(fit$beta), se = as.numeric(fit$se), ci_lb = fit$ci.lb, ci_ub = fit$ci.ub))
  }
  if (p$measure == "PLO") {
    e <- escalc(measure = "PLO", xi = d$events, ni = d$n, add = 1/2, to = "only0")
    return(values(as_normal(p, e$yi, e$vi), p))
  }
  if (p$model == "normal") return(values(as_normal(p, d$yi, d$vi), p))
  NULL
}

bayesian <- function(p) {
  # Half-normal prior of the heterogeneity, flat prior of the mean; only where bayesmeta is installed
  if (is.null(p$prior) || nrow(p$rows) < 3 || !requireNamespace("bayesmeta", quietly = TRUE)) return(NULL)
  prior <- function(t) bayesmeta::dhalfnormal(t, scale = p$prior)
  fit <- bayesmeta::bayesmeta(y = p$rows$yi, sigma = sqrt(p$rows$vi), tau.prior = prior)
  tail <- (1 - p$level) / 2
  ends <- c(tail, 1 - tail)
  mean <- fit$qposterior(mu.p = ends)
  new <- fit$qposterior(mu.p = ends, predict = TRUE)
  c(bayes_ci_lb = mean[1], bayes_ci_ub = mean[2], bayes_pi_lb = new[1], bayes_pi_ub = new[2])
}

effects_of_rows <- function(p) {
  # The effects in the rows, from their counts: a second reading of what was pooled
  d <- p$rows
  if (p$measure == "PLO" && !anyNA(d$events)) {
    whole <- d$events > 0 & d$events < d$n
    e <- escalc(measure = "PLO", xi = d$events[whole], ni = d$n[whole])
    return(max(0, abs(e$yi - d$yi[whole]), abs(e$vi - d$vi[whole])))
  }
  if (p$measure == "RD" && !anyNA(d$events)) {
    e <- escalc(measure = "RD", ai = d$events, n1i = d$n, ci = d$events_control, n2i = d$n_control, add = 0)
    return(max(abs(e$yi - d$yi), abs(e$vi - d$vi)))
  }
  NA
}

lines <- list()
for (name in names(pools)) {
  p <- pools[[name]]
  if (nrow(p$rows) == 0) {
    cat(sprintf("%s: no study\n", name))
    next
  }
  if (all(is.na(p$ours))) {
    cat(sprintf("%s: %d studies, not pooled by the report\n", name, nrow(p$rows)))
    next
  }
  theirs <- tryCatch(c(redo(p), bayesian(p)), error = function(e) conditionMessage(e))
  if (is.null(theirs) || is.character(theirs)) {
    cat(sprintf("%s: not redone (%s)\n", name, if (is.null(theirs)) paste("metafor has no model", p$model) else theirs))
    next
  }
  near <- tolerances[[if (p$model == "binomial_normal" && nrow(p$rows) > 1) "likelihood" else "closed"]]
  both <- intersect(names(p$ours), names(theirs))
  both <- both[!is.na(p$ours[both]) & !is.na(theirs[both])]
  ours <- p$ours[both]; found <- theirs[both]
  off <- abs(ours - found) / pmax(1, abs(ours))
  lines[[name]] <- data.frame(pool = name, quantity = both, report = ours, metafor = found, difference = off,
                              agrees = off <= near, row.names = NULL)
  rows <- effects_of_rows(p)
  if (!is.na(rows)) {
    lines[[name]] <- rbind(lines[[name]], data.frame(pool = name, quantity = "rows", report = NA, metafor = NA,
                                                     difference = rows, agrees = rows <= tolerances$closed))
  }
}

compared <- do.call(rbind, lines)
if (is.null(compared)) {
  cat("nothing to compare\n")
} else {
  shown <- within(compared, { report <- number(report); metafor <- number(metafor); difference <- number(difference) })
  print(shown, right = FALSE, row.names = FALSE)
  cat(sprintf("\n%d pools, %d values, largest difference %s, beyond tolerance: %d\n", length(lines), nrow(compared),
              number(max(compared$difference)), sum(!compared$agrees)))
  if (!interactive() && any(!compared$agrees)) quit(status = 1)
}
