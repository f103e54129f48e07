# The image that `make image` makes, for those who build with a container runtime. No base image, so no digest to pin: the
# program is static, and all that stands beside it are the CA certificates it trusts providers and channels by.
#   dist/amd64/llmrollout-operator, dist/arm64/llmrollout-operator, dist/ca-certificates.crt
#   docker buildx build --platform linux/amd64,linux/arm64 .
FROM scratch
ARG TARGETARCH
COPY --chmod=0755 dist/${TARGETARCH}/llmrollout-operator /llmrollout-operator
COPY --chmod=0644 dist/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
EXPOSE 8080
USER 65532:65532
ENTRYPOINT ["/llmrollout-operator"]
