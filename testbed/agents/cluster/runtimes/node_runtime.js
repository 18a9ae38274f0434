// The runtime `nodejs:default`: serves the contract, and runs a function of a JavaScript program. Runs inside a container.
//
// Source that defines (or exports) a function, `main` or the name in /init, that takes an object and returns one, or a
// promise of one; or an archive with package.json or index.js at its top. Descriptors: see runtimes/__init__.py.
'use strict'

const fs = require('fs')
const http = require('http')
const { spawnSync } = require('child_process')
const Module = require('module')

const SENTINEL = 'XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n'
const FOLDER = '/action'
const [SOCKET, READY] = [3, 4]
const ENVIRONMENT = ['namespace', 'action_name', 'action_version', 'api_host', 'api_key', 'activation_id', 'transaction_id', 'deadline']

let action = null

function named (holder, name) {
  return name.split('.').reduce((found, part) => found === undefined || found === null ? undefined : found[part], holder)
}

function fromSource (code, name) {
  const own = new Module(`${FOLDER}/index.js`)
  own.filename = `${FOLDER}/index.js`
  own.paths = Module._nodeModulePaths(FOLDER)
  const first = name.split('.')[0]
  own._compile(`${code}\n;try { module.__entry = ${first} } catch (error) { if (!(error instanceof ReferenceError)) throw error }`, own.filename)
  const holder = own.__entry === undefined ? own.exports : { [first]: own.__entry }
  return named(holder, name)
}

function fromArchive (code, name) {
  fs.writeFileSync(`${FOLDER}/.archive.zip`, Buffer.from(code, 'base64'))
  const unpacked = spawnSync(process.env.CLUSTER_PYTHON || 'python3', ['-I', '-m', 'zipfile', '-e', `${FOLDER}/.archive.zip`, FOLDER])
  fs.unlinkSync(`${FOLDER}/.archive.zip`)
  if (unpacked.status !== 0) throw new Error('the archive does not unpack')
  process.chdir(FOLDER)
  const loaded = require(FOLDER)
  return named(loaded, name) || (name === 'main' && typeof loaded === 'function' ? loaded : undefined)
}

function init (document) {
  if (action) throw new Error('a container is initialised once')
  const value = document.value || {}
  for (const [key, content] of Object.entries(value.env || {})) {
    process.env[key] = typeof content === 'string' ? content : JSON.stringify(content)
  }
  const name = value.main || 'main'
  const found = value.binary ? fromArchive(value.code || '', name) : fromSource(value.code || '', name)
  if (typeof found !== 'function') throw new Error(`the action has no function '${name}'`)
  action = found
  return { ok: true }
}

async function run (document) {
  if (!action) throw new Error('the container was not initialised')
  for (const key of ENVIRONMENT) {
    if (document[key] !== undefined && document[key] !== null) process.env[`__OW_${key.toUpperCase()}`] = String(document[key])
  }
  const result = await action(document.value || {})
  const shown = result === undefined ? {} : result
  if (typeof shown !== 'object' || shown === null) throw new Error(`the action must return an object, not ${shown === null ? 'null' : typeof shown}`)
  return shown
}

async function answer (path, body) {
  try {
    const document = JSON.parse(body.toString() || '{}')
    if (path === '/init') return [200, JSON.stringify(init(document))]
    if (path === '/run') return [200, JSON.stringify(await run(document))]
    throw new Error(`there is only /init and /run, not ${path}`)
  } catch (error) {
    console.error(error && error.stack ? error.stack : error)
    const text = error instanceof Error ? `the action raised ${error.name}: ${error.message}` : undefined
    return [502, JSON.stringify({ error: text === undefined ? (error === undefined ? 'the action failed' : error) : text })]
  }
}

function markEndOfLogs () {
  for (const descriptor of [1, 2]) {
    for (let left = SENTINEL; left;) {
      try {
        left = left.slice(fs.writeSync(descriptor, left))
      } catch (error) {
        if (error.code !== 'EAGAIN') throw error
      }
    }
  }
}

const alive = fs.createReadStream(null, { fd: 0 })
alive.on('data', () => {}).on('end', () => process.exit(0)).on('error', () => process.exit(0))
process.on('unhandledRejection', error => console.error(error))

const server = http.createServer((request, response) => {
  const parts = []
  request.on('data', part => parts.push(part))
  request.on('end', async () => {
    const [status, body] = await answer(request.url, Buffer.concat(parts))
    if (request.url === '/run' || status !== 200) markEndOfLogs()
    response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) })
    response.end(body)
  })
})
server.keepAliveTimeout = 0
server.requestTimeout = 0
server.listen({ fd: SOCKET }, () => {
  fs.writeSync(READY, '1')
  fs.closeSync(READY)
})
