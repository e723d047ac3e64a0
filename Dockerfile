# yolo-focal in a container. The working folder is /work: settings, datasets and runs are written there.
#
#   docker build -t yolo-focal .                              CPU
#   docker build -t yolo-focal:cuda --build-arg TORCH=cu128 . CUDA, by the name of a folder of download.pytorch.org/whl
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" yolo-focal demo
#   docker run --rm --gpus all --shm-size 8g -v "$PWD:/work" --user "$(id -u):$(id -g)" yolo-focal:cuda demo

FROM python:3.12-slim AS build
RUN pip install --no-cache-dir build
COPY pyproject.toml README.md LICENSE /source/
COPY cfg /source/cfg
COPY yolo_focal /source/yolo_focal
RUN python -m build --wheel --outdir /wheel /source

FROM python:3.12-slim
ARG TORCH=cpu
# OpenCV's two libraries, which the slim image lacks
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir torch torchvision --index-url "https://download.pytorch.org/whl/${TORCH}"
COPY --from=build /wheel /wheel
RUN pip install --no-cache-dir /wheel/*.whl && rm -r /wheel
# Whoever runs it has to be able to write here, under any user id
ENV HOME=/work YOLO_AUTOINSTALL=false MPLBACKEND=Agg
WORKDIR /work
RUN chmod 777 /work
USER 1000:1000
ENTRYPOINT ["yolo-focal"]
CMD ["help"]
