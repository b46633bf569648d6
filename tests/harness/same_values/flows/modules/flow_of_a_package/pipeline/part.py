import pipeline

pipeline.KNOWN.append("part")
