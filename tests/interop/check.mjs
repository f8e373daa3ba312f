// Verify and mint Phi license tokens with npm `paseto`, which knows nothing of Phi.
//
// The requests and answers are those of check.py. What is verified is opaque bytes here, as it
// is to any PASETO library; what is issued is encoded by the few lines of CBOR below.

import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

// An ES module import looks beside this file only; the packages are under the build folder.
const require = createRequire(`${process.env.PHI_INTEROP_NODE_MODULES}/`)
const load = (name) => import(pathToFileURL(require.resolve(name)))
const { PublicProtocol } = await load('paseto')
const factories = await load('paseto/v4/public')

const v4 = new PublicProtocol(
  factories.SignFactory,
  factories.VerifyFactory,
  factories.ImportPublicKeyFactory,
  factories.ImportSecretKeyFactory,
)

const bytes = (hex) => new Uint8Array(Buffer.from(hex, 'hex'))
const text = (value) => new TextEncoder().encode(value)
const paserk = (kind, hex) => `k4.${kind}.${Buffer.from(hex, 'hex').toString('base64url')}`

async function verify(request) {
  const key = await v4.ImportPublicKey(paserk('public', request.public_key_hex))
  const { claims, footer } = await v4.Verify(key, request.token, {
    implicitAssertion: text(request.assertion),
    // The expiry of a license is in its CBOR body, not in the payload.
    allowNonExpiring: true,
  })
  if (Object.keys(claims).length > 0) throw new Error('payload is not {}')
  if (Buffer.from(footer).toString('hex') !== request.footer_cbor_hex) {
    throw new Error('footer is not the expected bytes')
  }
  return { ok: true }
}

async function mint(request) {
  return { ok: true, token: await sign(request, bytes(request.footer_cbor_hex)) }
}

async function issue(request) {
  const footer = encode([bytes(request.key_id_hex), body(request.license)])
  return { ok: true, token: await sign(request, footer) }
}

async function sign(request, footer) {
  const secret = request.seed_hex + request.public_key_hex
  const key = await v4.ImportSecretKey(paserk('secret', secret))
  return v4.Sign(key, {}, {
    footer,
    implicitAssertion: text(request.assertion),
    addIssuedAt: false,
    nonExpiring: true,
  })
}

// The claims of a license by their numbers, from docs/spec.md. A map here is in the order of its
// keys, which is their order in deterministic CBOR.
function body(license) {
  const flags = new Uint8Array(Math.floor(Math.max(...license.flags) / 8) + 1)
  for (const flag of license.flags) flags[flag >> 3] |= 1 << (flag & 7)
  const amount = (limit) => (limit === true ? true : BigInt(limit))
  const claims = new Map([
    [0, 1],
    [1, license.issuer],
    [2, license.customer],
    [4, license.expires],
    [6, license.issued_at],
    [7, bytes(license.token_id_hex)],
    [8, license.product],
    [9, license.plan],
    [10, flags],
    [11, new Map(license.quotas.map(([code, limit, period]) => [code, [amount(limit), period]]))],
    [12, new Map(license.limits.map(([code, limit]) => [code, amount(limit)]))],
  ])
  if (license.binding !== null) {
    claims.set(13, [license.binding.required, bytes(license.binding.components_hex)])
  }
  claims.set(14, license.grace)
  claims.set(15, [bytes(license.license_id_hex), license.license_revision])
  claims.set(16, license.catalog_revision)
  claims.set(19, license.mint_epoch)
  return claims
}

// Deterministic CBOR (RFC 8949 section 4.2.1) of what a license is made of.
function encode(value) {
  if (value === true) return Buffer.of(0xf5)
  if (typeof value === 'number' || typeof value === 'bigint') return head(0, value)
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value])
  if (typeof value === 'string') {
    const utf8 = text(value)
    return Buffer.concat([head(3, utf8.length), utf8])
  }
  if (Array.isArray(value)) return Buffer.concat([head(4, value.length), ...value.map(encode)])
  const pair = ([key, entry]) => Buffer.concat([encode(key), encode(entry)])
  return Buffer.concat([head(5, value.size), ...[...value].map(pair)])
}

function head(major, argument) {
  const number = BigInt(argument)
  if (number < 24n) return Buffer.of((major << 5) | Number(number))
  const power = [0, 1, 2, 3].find((power) => number < 1n << BigInt(8 << power))
  const digits = number.toString(16).padStart(2 << power, '0')
  return Buffer.concat([Buffer.of((major << 5) | (24 + power)), bytes(digits)])
}

const operations = { verify, mint, issue }

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line)
  let answer
  try {
    answer = await operations[request.op](request)
  } catch (error) {
    answer = { ok: false, error: `${error.name}: ${error.message}` }
  }
  console.log(JSON.stringify(answer))
}
