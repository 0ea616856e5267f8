"""Names, things and places of the stories. The HELD lists are for the held-out stories only."""

NAMES = """Tom Anna Ben Mia Sam Lena Max Nora Paul Ella Jack Lily Leo Zoe Omar Aisha Ivan Olga Chen Mei Raj Priya Kofi Ama
Diego Sofia Luis Carla Jonas Greta Hugo Ines Pedro Lucia Emma Noah Liam Olivia Ava Ethan Grace Henry Ruby Oscar Alice
Daniel Sarah David Rachel Peter Julia Mark Laura Kevin Amy Brian Karen Steve Linda George Helen Frank Diana Victor Irene
Felix Clara Simon Eva Martin Rosa Adam Lucy Eric Jane Alex Kim Robin Sasha Yuki Hana Kenji Ali Fatima Hassan Layla Yusuf
Maria Jose Carlos Elena Marco Giulia Pierre Camille Lars Ingrid Sven Astrid Nina Boris Tanya Dmitri Wei Ling Jin Soo Arun
Meera Vikram Lakshmi Kwame Zola Thabo Nia Rita Bob Carol Ted Joe Beth Meg Jim Sue Tim Pam Ron Kate Will Rose Charlie James
John Mary Emily Michael Chris Jessica Jenny Susan Nick Tina Harry Molly Lisa Dan Bella Toby Ivy Finn Maya Kai Luna Ian Joan
Mum Dad Grandma Grandpa""".split()
HELD_NAMES = """Beatrix Tariq Wanda Quentin Ximena Dorothy Zachary Yolanda Cedric Philippa Ignacio Saoirse Bjorn Thelma
Osman Kiyoshi Perpetua Florian Gwen Horatio""".split()

THINGS = """apple pear plum orange banana lemon melon peach cherry/cherries grape strawberry berry egg cookie cake cupcake muffin
bun loaf/loaves sandwich pizza biscuit candy sweet chocolate nut walnut carrot potato/potatoes tomato/tomatoes onion bean
pumpkin mushroom pen pencil crayon marker eraser ruler notebook book comic magazine page card sticker stamp photo picture
letter envelope poster map coin dollar token ticket marble ball balloon toy doll puzzle kite block brick button bead ring
necklace shell stone rock pebble feather leaf/leaves flower rose tulip seed plant tree branch stick log nail screw bolt tool
hammer rope string candle lamp bulb battery/batteries cup mug glass/glasses plate bowl spoon fork bottle can jar box bag basket
hat shirt sock shoe coat scarf/scarves glove shell chair table desk bed pillow blanket towel key lock clock watch/watches bell
drum car truck bus train bike boat plane wheel tyre fish/fish bird duck hen chicken goose/geese cow sheep/sheep goat horse pig
dog puppy cat kitten rabbit mouse/mice frog turtle bee ant butterfly snail worm lion bear wolf/wolves monkey phone tablet
laptop computer camera cable game badge medal trophy/trophies star point point sweet lollipop donut pancake waffle taco
dumpling mango fig olive pea radish/radishes cabbage turnip tile plank paint brush/brushes ribbon bracelet parcel package
lantern umbrella tent ladder bucket shovel robot model rocket crystal gem diamond pearl acorn cone""".split()
HELD_THINGS = """kiwi harmonica spatula thimble snowglobe magnet cactus/cacti tambourine ornament walrus/walruses saddle compass/compasses
apricot pinwheel dagger goblet parrot scooter yoyo helmet""".split()

ADJECTIVES = """red blue green yellow white black brown purple small big large tiny old new shiny round wooden plastic glass paper
golden silver fresh ripe sweet soft heavy light cheap rare pretty broken clean striped spare""".split()

CONTAINERS = """box bag basket jar packet pack crate shelf/shelves row tray carton case bucket drawer bowl tin bottle pot barrel
sack bundle pile stack tube pouch chest cupboard cage tank pocket album folder envelope table van truck cart room house
team class/classes group page bench shelf/shelves""".split()

PEOPLE = """friend child/children student pupil kid boy girl cousin brother sister neighbour neighbor classmate worker player
guest person/people teacher nephew niece teammate visitor colleague customer family member sailor pirate farmer helper""".split()

ROLES = """teacher farmer baker gardener shopkeeper driver sailor librarian painter builder nurse pirate wizard robot clerk coach
cook king queen captain neighbour brother sister uncle aunt friend""".split()

PLACES = """garden park shop store kitchen house school class room box bag basket field farm yard market library office garage
bus train boat tree pond lake river beach zoo museum barn shed cellar attic hall street town village forest station harbour
table shelf""".split()

SHOPS = """shop store market bakery school library farm factory museum zoo restaurant cafe supermarket garden warehouse office
club station""".split()

CURRENCIES = """dollars dollars dollars euros euros pounds coins cents francs pesos credits yen crowns""".split()

ONSETS = """b c d f g h j k l m n p r s t v w z br cl dr fl gr kr pl qu sh sl sn st th tr tw y ch bl sk sp x""".split()
VOWELS = "a e i o u a e i o u ai ea ee oo ou y ia io".split()
CODAS = ["", "", "", "", "n", "r", "l", "s", "m", "t", "k", "d", "b", "g", "p", "nd", "rt", "ck", "x", "sh", "ng", "lf"]

UNWANTED = "shit tit cum cunt clit fuk fag nig slut sex poop pis dik cok rap naz kil".split()
"""Made-up words with these in them are drawn again."""
