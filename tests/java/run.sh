#!/usr/bin/env bash
# Packages the Java binding of build/ (configured with ABYSSAL_JAVA) and runs its tests against the jars: with the java
# of the path, and with the newest other one of 21 or later that is installed.
# Usage: tests/java/run.sh [MAVEN ARGUMENT...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
log=build/java/tests.log

run_with() {
  mvn -q -B -f build/java/pom.xml verify "$@" 2>&1 | tee "$log"
  # What -Xcheck:jni finds it prints; the tests pass all the same.
  if grep -nE 'in native method|JNI local refs|JNI warning' "$log"; then
    echo "-Xcheck:jni has found the above in $log" >&2
    return 1
  fi
}

version_of() { "$1" -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java.specification.version = //p'; }

rm -rf build/java/stage
cmake --install build --prefix "$PWD/build/java/stage" --component java --strip >/dev/null
run_with "$@"
echo "Java $(version_of java): passed"

newest=
newest_version=20
for java in /usr/lib/jvm/*/bin/java; do
  [ -x "$java" ] || continue
  version=$(version_of "$java")
  if [ "${version%%.*}" -gt "$newest_version" ] 2>/dev/null; then
    newest=$java
    newest_version=$version
  fi
done
if [ -n "$newest" ] && [ "$newest_version" != "$(version_of java)" ]; then
  run_with -Djvm="$newest" "$@"
  echo "Java $newest_version: passed"
fi
jars=$(printf '%s:' build/java/library/target/abyssal-*.jar)

# The README's program, with what a reader puts around it.
snippet=$(sed -n '/^```java$/,/^```$/p' README.md | grep -v '^```')
mkdir -p build/java/readme
{
  grep '^import ' <<<"$snippet"
  printf 'class Readme {\n  public static void main(String[] arguments) {\n'
  grep -v '^import ' <<<"$snippet"
  printf '  }\n}\n'
} >build/java/readme/Readme.java
javac -Xlint:all -Werror -d build/java/readme -cp "$jars" build/java/readme/Readme.java
java -cp "build/java/readme:$jars" Readme | grep 294 >/dev/null || {
  echo "the README's Java prints no 294" >&2
  exit 1
}
echo "the README's Java: passed"

# What the benchmarks ask of this language.
javac -Xlint:all -Werror -d build/java/bench -cp "$jars" tests/bench/BindingsJava.java
printf 'decode 4\nlogits 4\ncycles 1\nreplies 1 4\n' |
  java -cp "build/java/bench:$jars" BindingsJava tests/data/conformance/tiny-v2-lite >/dev/null
