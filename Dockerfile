# yolo-focal in a container. Settings, datasets and runs are written to its working folder, /yolo.
#
#   docker build -t yolo-focal .                            torch as pip finds it: for CUDA, and for CPU all the same
#   docker build -t yolo-focal --build-arg TORCH="WHEELS" . another build, CPU only or for another CUDA: what
#                                                           torch's own installation instructions give to pip install
#   docker run --rm -v "$PWD:/yolo" --user "$(id -u):$(id -g)" yolo-focal demo
#   docker run --rm --gpus all --shm-size 8g -v "$PWD:/yolo" --user "$(id -u):$(id -g)" yolo-focal demo

FROM python:3.12-slim AS build
RUN pip install --no-cache-dir build
COPY pyproject.toml README.md LICENSE /source/
COPY cfg /source/cfg
COPY yolo_focal /source/yolo_focal
RUN python -m build --wheel --outdir /wheel /source

FROM python:3.12-slim
ARG TORCH="torch torchvision"
# OpenCV's two libraries, which the slim image lacks
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir $TORCH
COPY --from=build /wheel /wheel
RUN pip install --no-cache-dir /wheel/*.whl && rm -r /wheel
# Whoever runs it has to be able to write here, under any user id
ENV HOME=/yolo YOLO_AUTOINSTALL=false MPLBACKEND=Agg
WORKDIR /yolo
RUN chmod 777 /yolo
USER 1000:1000
ENTRYPOINT ["yolo-focal"]
CMD ["help"]
