#!/bin/sh
# Seals a value with nothing but the OpenSSL command line: the vector that tests/vault.rs opens. Prints it in hex.
set -eu
master='prunella-known-answer-key-0123456789'
store='state.samples'
key='default/orders/fetch@1'
value='{"customer":"Ann","total":19.90}'
iv='000102030405060708090a0b0c0d0e0f'

hex() { od -An -v -tx1 | tr -d ' \n'; }
derive() {
    openssl kdf -keylen "$1" -kdfopt digest:SHA256 -kdfopt "key:$master" -kdfopt "info:$2" -binary HKDF | hex
}
length() { printf '%016x' "$(printf %s "$1" | wc -c)"; }

id=$(derive 8 'prunella vault v1 id')
encrypt=$(derive 32 'prunella vault v1 encrypt')
authenticate=$(derive 32 'prunella vault v1 authenticate')
ciphertext=$(printf %s "$value" | openssl enc -aes-256-cbc -K "$encrypt" -iv "$iv" | hex)
head="fe5601$id$iv"
covered="$head$(length "$store")$(printf %s "$store" | hex)$(length "$key")$(printf %s "$key" | hex)$ciphertext"
mac=$(printf %s "$covered" | tr a-f A-F | sed 's/../\\x&/g' | xargs -0 printf %b |
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$authenticate" -binary | hex)
echo "$head$ciphertext$mac"
