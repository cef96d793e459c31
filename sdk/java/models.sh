#!/bin/sh
# Makes the records in distributedpool.model from the contract again. It needs Maven, which brings the
# generator.
set -eu
cd "$(dirname "$0")"
version=7.25.0
jar=target/openapi-generator-cli-$version.jar
if [ ! -e $jar ]; then
  mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
    -Dartifact=org.openapitools:openapi-generator-cli:$version -DoutputDirectory=target
fi
into=src/main/java/distributedpool/model
models=Artifact:Child:ChildReference:FunctionError:Load:Pool:PoolMember:PoolSummary:Progress:Usage
rm -rf target/models $into
java -Dlog.level=error -jar $jar generate -g java -t templates -o target/models \
  -i ../../openapi/openapi.3.0.json --model-name-mappings Child=ChildInfo \
  --type-mappings DateTime=String,OffsetDateTime=String \
  --global-property "models=$models,modelDocs=false,modelTests=false" --additional-properties \
  library=native,modelPackage=distributedpool.model,openApiNullable=false >/dev/null
mv target/models/src/main/java/distributedpool/model $into
