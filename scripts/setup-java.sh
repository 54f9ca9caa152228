#!/bin/sh
# Makes sure that the local Kafka finds a Java 17 or newer and Maven. Does nothing when both are there; installs what is
# missing with apt-get on Debian as root; says exactly what to install everywhere else.
set -eu

oldest_java=17

java_program() {
    if [ -n "${JAVA_HOME:-}" ]; then
        echo "$JAVA_HOME/bin/java"
    else
        echo java
    fi
}

# Prints 17 for `openjdk version "17.0.15"`, 8 for `java version "1.8.0_392"`, 0 for no Java.
java_major() {
    version=$("$(java_program)" -version 2>&1 | sed -n 's/.*version "\([^"]*\)".*/\1/p' | head -n 1) || version=
    version=${version#1.}
    version=${version%%[!0-9]*}
    echo "${version:-0}"
}

has_java() {
    [ "$(java_major)" -ge "$oldest_java" ]
}

has_maven() {
    command -v mvn >/dev/null 2>&1
}

missing_packages() {
    has_java || echo default-jre-headless
    has_maven || echo maven
}

missing=$(missing_packages | tr '\n' ' ')
missing=${missing% }
if [ -z "$missing" ]; then
    exit 0
fi

if [ -n "${JAVA_HOME:-}" ] && ! has_java; then
    echo "JAVA_HOME is $JAVA_HOME, which holds no Java $oldest_java or newer: point it at one, or unset it" >&2
    exit 1
fi

if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
    {
        echo "The local Kafka needs Java $oldest_java or newer and Maven. Please install what is missing:"
        echo "  Debian, Ubuntu:  sudo apt-get install $missing"
        has_java || echo "  elsewhere:       a Java runtime, $oldest_java or newer (with JAVA_HOME or PATH pointing at it)"
        has_maven || echo "  elsewhere:       Apache Maven 3.6.3 or newer (mvn on the PATH), or KAFKA_HOME set to an unpacked Apache Kafka 4"
        echo "Or use a Kafka that already runs: --brokers host:port."
    } >&2
    exit 1
fi

echo "installing $missing with apt-get" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update
# shellcheck disable=SC2086 # a list of package names
apt-get install --yes --no-install-recommends $missing

if ! has_java; then
    echo "this system's default-jre-headless is Java $(java_major), older than $oldest_java: install a newer one" >&2
    exit 1
fi
echo "installed $missing" >&2
