// What the platform's own client sees of a cluster. Prints a JSON object; a test reads it.
'use strict'

const openwhisk = require('openwhisk')

const whisk = openwhisk({ apihost: process.argv[2], api_key: process.argv[3] })
const kind = process.argv[4]
const SOURCES = {
  'python:3': 'def main(args):\n    print("seen", args["a"])\n    return {"sum": args["a"] + args["b"]}\n',
  'nodejs:default': 'function main (args) { console.log("seen", args.a); return { sum: args.a + args.b } }'
}

async function refused (promise) {
  try {
    await promise
    return null
  } catch (error) {
    return { status: error.statusCode, error: error.error.error }
  }
}

async function record (activation) {
  for (let tries = 0; tries < 200; tries++) {
    try {
      return await whisk.activations.get(activation)
    } catch (error) {
      if (error.statusCode !== 404) throw error
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error(`activation ${activation} does not end`)
}

async function main () {
  const seen = {}
  const name = 'sum'
  seen.created = await whisk.actions.create({ name, action: SOURCES[kind], kind, params: { b: 1 }, annotations: { note: 'x' }, limits: { memory: 128 } })
  seen.again = await refused(whisk.actions.create({ name, action: SOURCES[kind], kind }))
  seen.updated = await whisk.actions.update({ name, action: SOURCES[kind], kind, params: { b: 2 } })
  seen.shown = await whisk.actions.get(name)
  seen.listed = (await whisk.actions.list()).map(action => action.name)
  seen.result = await whisk.actions.invoke({ name, params: { a: 40 }, blocking: true, result: true })
  seen.blocking = await whisk.actions.invoke({ name, params: { a: 1 }, blocking: true })
  const { activationId } = await whisk.actions.invoke({ name, params: { a: 2 } })
  seen.record = await record(activationId)
  seen.logs = await whisk.activations.logs(activationId)
  seen.later = await whisk.activations.result(activationId)
  seen.activations = (await whisk.activations.list({ name })).length
  seen.failed = await refused(whisk.actions.invoke({ name, params: { b: 0 }, blocking: true }))
  seen.namespaces = await whisk.namespaces.list()
  seen.triggers = await whisk.triggers.list()
  seen.deleted = (await whisk.actions.delete(name)).name
  seen.gone = await refused(whisk.actions.get(name))
  seen.stranger = await refused(openwhisk({ apihost: process.argv[2], api_key: 'who:ever' }).actions.list())
  return seen
}

main().then(seen => console.log(JSON.stringify(seen)), error => {
  console.error(error)
  process.exit(1)
})
