// Verify and mint Phi license tokens with npm `paseto`, which knows nothing of Phi.
//
// The requests and answers are those of check.py. CBOR is left to check.py: here the
// footer is opaque bytes, as it is to any PASETO library.

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
  const secret = request.seed_hex + request.public_key_hex
  const key = await v4.ImportSecretKey(paserk('secret', secret))
  const token = await v4.Sign(key, {}, {
    footer: bytes(request.footer_cbor_hex),
    implicitAssertion: text(request.assertion),
    addIssuedAt: false,
    nonExpiring: true,
  })
  return { ok: true, token }
}

const operations = { verify, mint }

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
