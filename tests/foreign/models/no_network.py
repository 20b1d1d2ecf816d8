from several import Small

model = Small()
