// The words of a text that stand in it most often.
//
// Parameters: `text`; `most`, how many words are returned. Result: words with their counts, the first one first.

function main (args) {
  const text = args.text === undefined ? 'the edge serves the users that the edge knows' : String(args.text)
  const counts = new Map()
  for (const word of text.toLowerCase().match(/\p{L}+/gu) || []) counts.set(word, (counts.get(word) || 0) + 1)
  const words = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))
  return { words: words.slice(0, args.most || 5), distinct: counts.size }
}
