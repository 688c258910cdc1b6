# JupyterLab with the notebooks, for people without Python and conda. Not built where the project was made: docs/site.md.
FROM python:3.11-slim

# An unprivileged user, with a folder for the output of the notebooks.
RUN useradd --create-home --uid 1000 reader
WORKDIR /home/reader/cellclaims
RUN chown reader:reader /home/reader/cellclaims
USER reader
ENV VIRTUAL_ENV=/home/reader/environment \
    PATH=/home/reader/environment/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1

# The libraries first, so that they are installed again only when the lock changes.
COPY --chown=reader:reader requirements.lock ./
RUN python -m venv /home/reader/environment \
 && python -m pip install --no-cache-dir --require-hashes -r requirements.lock

COPY --chown=reader:reader . ./
RUN python -m pip install --no-cache-dir --no-build-isolation --no-deps -e . \
 && cellclaims check

EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--no-browser", "notebooks"]
