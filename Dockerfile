FROM python:3.11.13-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv --without-pip /opt/order-ledger \
 && pip --python /opt/order-ledger install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml LICENSE ./
COPY domain domain
COPY projections projections
COPY adapters adapters
# Without a build environment of its own: nothing that no lock file pins is fetched.
RUN pip --python /opt/order-ledger install --no-cache-dir --no-deps --no-build-isolation . \
 && pip --python /opt/order-ledger uninstall --yes setuptools

FROM python:3.11.13-slim-bookworm
COPY --from=build /opt/order-ledger /opt/order-ledger
# What the service writes is in /data (tokens and keys that it makes, a ledger in a file) and /tmp.
RUN install -d -o 10001 -g 10001 -m 0700 /data
ENV PATH=/opt/order-ledger/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XDG_DATA_HOME=/data \
    ORDER_LEDGER_HOST=0.0.0.0
WORKDIR /data
VOLUME /data
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
ENTRYPOINT ["order-ledger"]
CMD ["serve"]
